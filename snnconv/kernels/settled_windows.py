"""Settled windows: what neurons make of a summed current in their whole window, decoded into the network's units.

One arithmetic serves everybody, bit for bit: ``(current + shift) * inverse_scale``, what the window makes of that, and
that ``* scale``. A sum that is then multiplied cannot be fused, so it rounds alike on every processor and in every
backend. A shift that is zero in all channels is left out.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from coding import Quantized
from coding.window.closed_form import memory_order
from neurons import WindowNeuron
from neurons.window_form import WindowForm, window_form_of
from snnconv.kernels.backends import native
from snnconv.kernels.native import Native, threads_for

#: Values that are settled at once: by torch on one thread, so that they stay in its cache, and by a compiled kernel.
_TORCH_BLOCK, BLOCK = 2**16, 1024
#: Values of which rows of a map are made, and up to which channels with few values each go into one.
_ROW, _LONGEST_ROW, _FEW = 1024, 2**14, 128
#: Parts of a map that a thread takes one after the other, so that none waits long for another.
_PARTS = 4

#: What a compiled kernel is told. Names of tensors are addresses, 0 where there is none.
#:
#: Threads take one of ``parts`` after the other, of ``blocks`` each, until ``taken`` says that none is left.
#: ``samples`` maps of ``size`` values lie behind each other, in rows of ``width``. ``constants`` are shifts, inverse
#: scales and scales, ``period`` of each: ``along`` a row, or one for each row, in turn. Then come the ``WindowForm``
#: and the places of results; sums are over samples.
JOB: np.dtype[Any] = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("taken", "parts", "blocks"),
            *("current", "samples", "size", "width", "along", "shifted", "period", "constants"),
            *("cell_bits", "lowest_cell", "cells", "carry", "corrections", "following"),
            *("trains", "values", "spikes", "updates", "signed"),
            *("decoded", "found", "spikes_found", "updates_found", "spike_sums", "update_sums"),
        )
    ]
    + [("seen", np.float64), ("sent", np.float64)]
)


class Settled(NamedTuple):
    """Windows in the shape and the layout of their current: what neurons make of it, and what this stands for."""

    found: Quantized
    decoded: Tensor


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
        self._jobs: dict[tuple[bool, int, int], tuple[np.ndarray[Any, Any], Tensor]] = {}

    @cached_property
    def _form(self) -> WindowForm | None:
        return window_form_of(self.neuron, self.scale.dtype, self.scale.device)

    def shifted(self, current: Tensor) -> Tensor:
        """``current`` and the shift."""
        return current if self.shift is None else current + self._broadcast(self.shift, current.dim())

    def normalised(self, current: Tensor) -> Tensor:
        """Potentials in units of the scale that ``current`` comes to."""
        return self.shifted(current) * self._broadcast(self.inverse_scale, current.dim())

    def settle(self, current: Tensor, counted: bool) -> Settled:
        """What the windows make of ``current``; spikes and updates too if ``counted``."""
        current = _dense(current)
        decoded = torch.empty_like(current)
        kernel = self._kernel(current, decoded)
        if kernel is not None:
            found = Quantized(*(torch.empty_like(decoded) if wanted else None for wanted in (True, counted, counted)))  # type: ignore[arg-type]
            self._run(kernel, current, decoded, found)
            return Settled(found, decoded)
        found = self.neuron.window(self.normalised(current), counted)
        return Settled(found, torch.mul(found.values, self._broadcast(self.scale, current.dim()), out=decoded))

    def decode(self, current: Tensor) -> Tensor:
        """What ``settle`` decodes ``current`` to."""
        current = _dense(current)
        decoded = torch.empty_like(current)
        kernel = self._kernel(current, decoded)
        if kernel is not None:
            self._run(kernel, current, decoded, None)
        else:
            self._decode_in_blocks(current, decoded)
        return decoded

    def _decode_in_blocks(self, current: Tensor, decoded: Tensor) -> None:
        order, axis = memory_order(current), self.axis
        if axis is not None and order[-1] != axis % current.dim():
            blocks = [(current, decoded)]
            neuron, scale, inverse, shift = self.neuron, *self._constants(current.dim())
        else:
            width = current.shape[axis] if axis is not None else 1
            rows = max(1, _TORCH_BLOCK * torch.get_num_threads() // width)
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
        if self.axis is None:
            return values.reshape(())
        shape = [1] * dims
        shape[self.axis] = -1
        return values.view(shape)

    def _kernel(self, current: Tensor, decoded: Tensor) -> Native | None:
        """What settles ``current`` in one pass; ``None`` where nothing can."""
        if current.requires_grad or not current.numel() or self._form is None or not _alike(current, decoded):
            return None
        return native("settled_windows_numba", current.dtype, current.device)

    def _run(self, kernel: Native, current: Tensor, decoded: Tensor, found: Quantized | None) -> None:
        template, _ = self._job(current)
        job = template.copy()
        values, threads = current.numel(), threads_for(current.numel())
        told = job[0]
        told["current"], told["decoded"], told["size"] = current.data_ptr(), decoded.data_ptr(), values
        if found is not None:
            told["found"] = found.values.data_ptr()
            if found.spikes is not None and found.updates is not None:
                told["spikes_found"], told["updates_found"] = found.spikes.data_ptr(), found.updates.data_ptr()
        width = int(told["width"])
        blocks = -(-values // width) * -(-width // BLOCK)
        parts = 1 if threads == 1 else min(blocks, threads * _PARTS)
        told["parts"], told["blocks"] = parts, -(-blocks // parts)
        kernel(job, threads)

    def _job(self, current: Tensor) -> tuple[np.ndarray[Any, Any], Tensor]:
        """What a kernel is told whatever the current is, and the constants whose addresses it holds."""
        along, width, each = _rows(current, self.axis if self.scale.numel() > 1 else None)
        key = (along, width, each)
        if key not in self._jobs:
            found = self._form
            assert found is not None
            shift = torch.zeros_like(self.scale) if self.shift is None else self.shift
            constants = torch.stack([shift, self.inverse_scale, self.scale])
            if along:
                constants = constants.repeat_interleave(each, 1).repeat(1, width // (each * constants.shape[1]))
            constants, levels = constants.contiguous(), found.levels
            job = np.zeros(1, JOB)
            for name, value in {
                "samples": 1,
                "width": width,
                "along": along,
                "shifted": self.shift is not None,
                "period": constants.shape[1],
                "constants": constants.data_ptr(),
                "cell_bits": levels.shift,
                "lowest_cell": levels.lowest_cell,
                "cells": len(levels.carry),
                "carry": levels.carry.data_ptr(),
                "corrections": levels.corrections,
                "following": levels.following.data_ptr(),
                "trains": len(levels.values),
                "values": levels.values.data_ptr(),
                "spikes": levels.spikes.data_ptr(),
                "updates": levels.updates.data_ptr(),
                "signed": found.negative is not None,
                "seen": 1.0 if found.negative is None else found.negative.seen,
                "sent": 1.0 if found.negative is None else found.negative.sent,
            }.items():
                job[name] = value
            self._jobs[key] = job, constants
        return self._jobs[key]


def _rows(current: Tensor, axis: int | None) -> tuple[bool, int, int]:
    """Whether constants repeat along rows of ``current``, the width of these, and values of a channel in turn."""
    if axis is None:
        return True, _ROW, 1
    order = memory_order(current)
    channels = current.shape[axis]
    each = math.prod(current.shape[other] for other in order[order.index(axis % current.dim()) + 1 :])
    if each > 1 and (each >= _FEW or each * channels > _LONGEST_ROW):
        return False, each, each
    return True, each * channels * max(1, _ROW // (each * channels)), each


def _alike(first: Tensor, second: Tensor) -> bool:
    """Whether values of both lie in the same order, without gaps."""
    order = memory_order(first)
    return first.stride() == second.stride() and first.permute(order).is_contiguous()


def _dense(current: Tensor) -> Tensor:
    """``current`` in an order of its axes that memory made for it has, too: no two of them take the same steps."""
    steps = [step for size, step in zip(current.shape, current.stride(), strict=True) if size > 1]
    return current.contiguous() if 0 in steps or len({*steps}) < len(steps) else current
