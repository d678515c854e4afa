"""The closed form of a population's windows: all that its neurons make of a summed current, at once.

One arithmetic serves everybody, bit for bit: ``(current + shift) * inverse_scale``, what the window makes of that, and
that ``* scale``. A sum that is then multiplied cannot be fused, so it rounds alike on every processor. A shift that is
zero in all channels is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from coding import Quantized
from coding.window.closed_form import memory_order
from snnconv.spiking.population import Population

#: Neurons of a block that is settled at once where nothing is counted.
_BLOCK = 2**16


class Settled(NamedTuple):
    """Windows of a population, all tensors in the shape and the layout of its current.

    ``current`` holds the shift, ``values`` are its normalised form, ``found`` is what the windows make of them, and
    ``decoded`` what this stands for in the network's own units.
    """

    current: Tensor
    values: Tensor
    found: Quantized
    decoded: Tensor


class _Constants(NamedTuple):
    """Scale, its inverse and the shift (``None`` if it is zero), all broadcastable over a current."""

    scale: Tensor
    inverse_scale: Tensor
    shift: Tensor | None

    def shifted(self, current: Tensor, out: Tensor | None = None) -> Tensor:
        return current if self.shift is None else torch.add(current, self.shift, out=out)

    def normalised(self, shifted: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.mul(shifted, self.inverse_scale, out=out)

    def decoded(self, found: Quantized, out: Tensor) -> Tensor:
        return torch.mul(found.values, self.scale, out=out)


def settle(population: Population, current: Tensor, counted: bool) -> Settled:
    """What the windows of ``population`` make of ``current``; spikes and updates too if ``counted``."""
    neuron = population.window_neuron(population.channel_axis)
    constants = _broadcast(population, current.dim())
    current = _dense(current)
    shifted = constants.shifted(current)
    values = constants.normalised(shifted)
    found = neuron.window(values, counted)
    return Settled(shifted, values, found, constants.decoded(found, out=torch.empty_like(current)))


def decode(population: Population, current: Tensor) -> Tensor:
    """What ``settle`` decodes ``current`` to, in blocks that stay in a processor's cache."""
    axis = population.channel_axis
    current = _dense(current)
    result = torch.empty_like(current)
    sources: Sequence[Tensor] = (current,)
    targets: Sequence[Tensor] = (result,)
    order = memory_order(current)
    if axis is not None and order[-1] != axis % current.dim():
        constants, neuron = _broadcast(population, current.dim()), population.window_neuron(axis)
    else:
        constants, neuron = _constants(population, population.scale, population.shift), population.window_neuron(1)
        width = current.shape[axis] if axis is not None else 1
        rows = max(1, _BLOCK // width)
        sources = torch.split(current.permute(order).reshape(-1, width), rows)
        targets = torch.split(result.permute(order).view(-1, width), rows)
    for source, target in zip(sources, targets, strict=True):
        values = constants.normalised(constants.shifted(source, out=target), out=target)
        constants.decoded(neuron.window(values, counted=False), out=target)
    return result


def normalise(population: Population, current: Tensor) -> Tensor:
    """The ``values`` of which ``settle`` makes the windows of ``population``."""
    constants = _broadcast(population, current.dim())
    return constants.normalised(constants.shifted(current))


def _dense(current: Tensor) -> Tensor:
    """``current`` in an order of its axes that memory made for it has, too: no two of them take the same steps."""
    steps = [step for size, step in zip(current.shape, current.stride(), strict=True) if size > 1]
    return current.contiguous() if 0 in steps or len({*steps}) < len(steps) else current


def _broadcast(population: Population, dims: int) -> _Constants:
    shift = population.broadcast(population.shift, dims)
    return _constants(population, population.broadcast_scale(dims), shift)


def _constants(population: Population, scale: Tensor, shift: Tensor) -> _Constants:
    return _Constants(scale, 1.0 / scale, shift if bool(population.shift.any()) else None)
