"""Settled windows: what neurons make of a summed current in their whole window, decoded into the network's units.

One arithmetic serves everybody, bit for bit: ``(current + shift) * inverse_scale``, what the window makes of that, and
that ``* scale``. A sum that is then multiplied cannot be fused, so it rounds alike on every processor and in every
backend. A shift that is zero in all channels is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from coding import Quantized
from coding.window.closed_form import memory_order
from neurons import WindowNeuron
from neurons.window_form import WindowForm, window_form_of
from snnconv.kernels.backends import chosen
from snnconv.kernels.layouts import along_axis, dense, without_gaps
from snnconv.kernels.neuron_weights import NeuronWeights
from snnconv.kernels.window_jobs import WindowJobs
from snnconv.kernels.window_sums import Summing, Sums, summed
from snnconv.kernels.window_tensors import WindowTensors

#: Shapes and layouts of which is kept how they are summed.
_KEPT = 64
#: Values that torch settles at once on one thread, so that they stay in its cache.
_BLOCK = 2**16
#: Names of what kernels find, in the order of a ``Quantized``.
_PLACES = ("found", "spikes_found", "updates_found")


class Settled(NamedTuple):
    """Windows in the shape and the layout of their current: what neurons make of it, and what this stands for."""

    found: Quantized
    decoded: Tensor


class Summed(NamedTuple):
    """What windows decode a current to, what they sum to, and the spikes of every neuron, where they are wanted."""

    decoded: Tensor
    sums: Sums
    spikes: Tensor | None


class WindowKernel(Protocol):
    """What settles windows of a population in one pass over a current without gaps, to the bit as torch does."""

    def ready(self, current: Tensor) -> bool:
        """Whether it is to settle a ``current`` like this."""
        ...

    def fill(self, current: Tensor, decoded: Tensor, places: Mapping[str, Tensor]) -> bool:
        """Fill ``decoded``, and ``places`` by their names; false, and nothing is, where it cannot."""
        ...

    def sum(self, current: Tensor, decoded: Tensor, places: Mapping[str, Tensor], summing: Summing) -> Sums | None:
        """The same, and the sums of what is counted; ``None`` where it cannot."""
        ...


class Windows:
    """The windows of a population, ready for currents: all that does not change from one to the next is prepared.

    Args:
        neuron: The neurons, for currents whose channels lie along ``axis``.
        in_rows: The same for rows ``[n, channels]``.
        axis: Axis of the channels; ``None`` where one scale serves all.
        scale: ``[channels]``, or ``[1]``.
        shift: As many.
    """

    def __init__(
        self, neuron: WindowNeuron, in_rows: WindowNeuron, axis: int | None, scale: Tensor, shift: Tensor
    ) -> None:
        self.neuron, self.in_rows, self.axis = neuron, in_rows, axis
        self.scale, self.inverse_scale = scale, 1.0 / scale
        self.shift = shift if bool(shift.any()) else None
        self._summings: dict[tuple[Any, ...], Summing | None] = {}

    @cached_property
    def _form(self) -> WindowForm | None:
        return window_form_of(self.neuron, self.scale.dtype, self.scale.device)

    @cached_property
    def _jobs(self) -> WindowJobs | None:
        return None if self._form is None else WindowJobs.of(self._form, *self._told)

    @cached_property
    def _tensors(self) -> WindowTensors | None:
        return None if self._form is None else WindowTensors(self._form, *self._told)

    @property
    def _told(self) -> tuple[int | None, Tensor | None, Tensor, Tensor]:
        return self.axis, self.shift, self.inverse_scale, self.scale

    def shifted(self, current: Tensor) -> Tensor:
        """``current`` and the shift."""
        return current if self.shift is None else current + self._broadcast(self.shift, current.dim())

    def normalised(self, current: Tensor) -> Tensor:
        """Potentials in units of the scale that ``current`` comes to."""
        return self.shifted(current) * self._broadcast(self.inverse_scale, current.dim())

    def settle(self, current: Tensor, counted: bool) -> Settled:
        """What the windows make of ``current``; spikes and updates too if ``counted``."""
        current = dense(current)
        decoded = torch.empty_like(current)
        kernel = self._kernel(current)
        if kernel is not None:
            places = {name: torch.empty_like(decoded) for name in (_PLACES if counted else _PLACES[:1])}
            if kernel.fill(current, decoded, places):
                return Settled(Quantized(places["found"], *map(places.get, _PLACES[1:])), decoded)
        found = self.neuron.window(self.normalised(current), counted)
        return Settled(found, torch.mul(found.values, self._broadcast(self.scale, current.dim()), out=decoded))

    def decode(self, current: Tensor, own: bool = False) -> Tensor:
        """What ``settle`` decodes ``current`` to, in the memory of ``current`` if that is the caller's ``own``."""
        given, current = current, dense(current)
        own = own or current is not given
        decoded = current if own else torch.empty_like(current)
        kernel = self._kernel(current)
        if kernel is None or not kernel.fill(current, decoded, {}):
            self._decode_in_blocks(current, decoded)
        return decoded

    def sum(
        self,
        current: Tensor,
        batched: bool,
        weights: tuple[NeuronWeights, ...] = (),
        *,
        own: bool = False,
        by_neuron: bool = False,
    ) -> Summed:
        """What ``settle`` decodes ``current`` to, and the sums of what it counts.

        Axis 0 is that of samples if ``batched``; ``weights`` are those of one sample. ``own`` says that the memory of
        ``current`` is the caller's, ``by_neuron`` that spikes of every neuron are wanted, too.
        """
        given, current = current, dense(current)
        own = own or current is not given
        kernel, summing = self._kernel(current), self._summing(current, batched, weights)
        if kernel is not None and summing is not None:
            decoded = current if own else torch.empty_like(current)
            places = {"spikes_found": torch.empty_like(decoded)} if by_neuron else {}
            sums = kernel.sum(current, decoded, places, summing)
            if sums is not None:
                return Summed(decoded, sums, places.get("spikes_found"))
        found, decoded = self.settle(current, counted=True)
        return Summed(decoded, summed(found, batched, weights), found.spikes if by_neuron else None)

    def _summing(self, current: Tensor, batched: bool, weights: tuple[NeuronWeights, ...]) -> Summing | None:
        """How a kernel sums windows of a current like this; ``None`` where none can."""
        key = (current.shape, current.stride(), batched, weights)
        kept = self._summings
        if key in kept:
            return kept[key]
        if len(self._summings) >= _KEPT:
            self._summings = {}  # another one: other threads read the former
        found = self._summings[key] = Summing.of(current, batched, weights)
        return found

    def _decode_in_blocks(self, current: Tensor, decoded: Tensor) -> None:
        order, axis = memory_order(current), self.axis
        if axis is not None and order[-1] != axis % current.dim():
            blocks = [(current, decoded)]
            neuron, scale, inverse, shift = self.neuron, *self._constants(current.dim())
        else:
            width = current.shape[axis] if axis is not None else 1
            rows = max(1, _BLOCK * torch.get_num_threads() // width)
            sources = torch.split(current.permute(order).reshape(-1, width), rows)
            targets = torch.split(decoded.permute(order).view(-1, width), rows)
            blocks = list(zip(sources, targets, strict=True))
            neuron, scale, inverse, shift = self.in_rows, self.scale, self.inverse_scale, self.shift
        for source, target in blocks:
            values = source if shift is None else torch.add(source, shift, out=target)
            values = torch.mul(values, inverse, out=target)
            torch.mul(neuron.window(values, counted=False).values, scale, out=target)

    def _constants(self, dims: int) -> tuple[Tensor, Tensor, Tensor | None]:
        shift = None if self.shift is None else self._broadcast(self.shift, dims)
        return self._broadcast(self.scale, dims), self._broadcast(self.inverse_scale, dims), shift

    def _broadcast(self, values: Tensor, dims: int) -> Tensor:
        return along_axis(values, self.axis, dims)

    def _kernel(self, current: Tensor) -> WindowKernel | None:
        """What settles ``current`` in one pass; ``None`` where nothing can."""
        if (current.dtype, current.device) != (self.scale.dtype, self.scale.device):
            return None  # torch says what is wrong
        if not current.numel() or not without_gaps(current):
            return None
        if torch.is_grad_enabled() and current.requires_grad:
            return None
        by = chosen(current.device)
        kernel = self._jobs if by == "numba" else self._tensors if by == "triton" else None
        return kernel if kernel is not None and kernel.ready(current) else None
