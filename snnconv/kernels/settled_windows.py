"""Settled windows: what neurons make of a summed current in their whole window, decoded into the network's units.

One arithmetic serves everybody, bit for bit: ``(current + shift) * inverse_scale``, what the window makes of that, and
that ``* scale``. A sum that is then multiplied cannot be fused, so it rounds alike on every processor and in every
backend. A shift that is zero in all channels is left out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from coding import Quantized
from coding.window.closed_form import memory_order
from neurons import WindowNeuron
from neurons.window_form import TableForm, window_form_of
from snnconv.kernels.backends import native
from snnconv.kernels.layouts import along_axis, dense, over_samples, without_gaps
from snnconv.kernels.native import Native, threads_for
from snnconv.kernels.neuron_weights import NeuronWeights
from snnconv.kernels.window_jobs import PLACES, WindowJobs

#: Shapes and layouts of which is kept how they are summed.
_KEPT = 64
#: Values that torch settles at once on one thread, so that they stay in its cache.
_BLOCK = 2**16
#: Thresholds of a table that a kernel compares one by one; beyond it torch's search takes less time.
_MOST_CELLS = 256
#: Entries of all tables of a population, whose places a kernel is told as numbers in single precision.
_MOST_ENTRIES = 2**24


class Settled(NamedTuple):
    """Windows in the shape and the layout of their current: what neurons make of it, and what this stands for."""

    found: Quantized
    decoded: Tensor


class Sums(NamedTuple):
    """Spikes and updates of all neurons and samples, and these spikes by weights of their neurons."""

    spikes: float
    updates: float
    weighted: Mapping[NeuronWeights, float]


class Summed(NamedTuple):
    """What windows decode a current to, what they sum to, and the spikes of every neuron, where they are wanted."""

    decoded: Tensor
    sums: Sums
    spikes: Tensor | None


class _Summing(NamedTuple):
    """How many samples lie behind each other, weights that differ, as the neurons lie, and their addresses."""

    samples: int
    rows: dict[NeuronWeights, Tensor]
    addresses: np.ndarray[Any, Any]

    @classmethod
    def of(cls, current: Tensor, batched: bool, weights: Sequence[NeuronWeights]) -> _Summing | None:
        """That of a current without gaps; ``None`` where a kernel cannot sum by these weights."""
        differing = [each for each in weights if each.uniform is None]
        behind_each_other = batched and (len(current) == 1 or memory_order(current)[0] == 0)
        if batched and differing and not behind_each_other:
            return None
        rows = {each: each.along(current[0] if batched else current) for each in differing}
        if any(row.dtype != torch.int32 for row in rows.values()):
            return None
        addresses = np.array([row.data_ptr() for row in rows.values()], np.int64)
        return cls(len(current) if behind_each_other else 1, rows, addresses)


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
        self._summings: dict[tuple[Any, ...], _Summing | None] = {}

    @cached_property
    def _jobs(self) -> WindowJobs | None:
        form = window_form_of(self.neuron, self.scale.dtype, self.scale.device)
        if form is None:
            return None
        if isinstance(form, TableForm) and (
            form.thresholds.shape[1] > _MOST_CELLS or form.payloads.numel() > _MOST_ENTRIES
        ):
            return None
        jobs = WindowJobs(form, self.axis, self.shift, self.inverse_scale, self.scale)
        return jobs if jobs.most_samples else None

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
        if kernel is None:
            found = self.neuron.window(self.normalised(current), counted)
            return Settled(found, torch.mul(found.values, self._broadcast(self.scale, current.dim()), out=decoded))
        places = {"found": torch.empty_like(decoded)}
        if counted:
            places |= {name: torch.empty_like(decoded) for name in ("spikes_found", "updates_found")}
        threads = threads_for(current.numel())
        kernel(self._job(current, decoded, places, threads), threads)
        return Settled(Quantized(places["found"], places.get("spikes_found"), places.get("updates_found")), decoded)

    def decode(self, current: Tensor, own: bool = False) -> Tensor:
        """What ``settle`` decodes ``current`` to, in the memory of ``current`` if that is the caller's ``own``."""
        given, current = current, dense(current)
        own = own or current is not given
        decoded = current if own else torch.empty_like(current)
        kernel = self._kernel(current)
        if kernel is not None:
            threads = threads_for(current.numel())
            kernel(self._job(current, decoded, {}, threads), threads)
        else:
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
        if kernel is None or summing is None:
            found, decoded = self.settle(current, counted=True)
            return Summed(decoded, summed(found, batched, weights), found.spikes if by_neuron else None)
        decoded = current if own else torch.empty_like(current)
        places = {"spikes_found": torch.empty_like(decoded)} if by_neuron else {}
        threads, columns = threads_for(current.numel()), 2 + len(summing.rows)
        job = self._job(current, decoded, places, threads, summing.samples)
        totals = (ctypes.c_int64 * (int(job[PLACES["parts"]]) * columns))()
        job[PLACES["totals"]], job[PLACES["kinds"]] = ctypes.addressof(totals), len(summing.rows)
        job[PLACES["weights"]] = summing.addresses.ctypes.data
        kernel(job, threads)
        updates, spikes, *weighted = (float(sum(totals[column::columns])) for column in range(columns))
        by_weights = dict(zip(summing.rows, weighted, strict=True))
        for each in weights:
            if each not in by_weights:
                by_weights[each] = each.of_sum(spikes)
        return Summed(decoded, Sums(spikes, updates, by_weights), places.get("spikes_found"))

    def _summing(self, current: Tensor, batched: bool, weights: tuple[NeuronWeights, ...]) -> _Summing | None:
        """How a kernel sums windows of a current like this; ``None`` where none can."""
        key = (current.shape, current.stride(), batched, weights)
        kept = self._summings
        if key in kept:
            return kept[key]
        if len(self._summings) >= _KEPT:
            self._summings = {}  # another one: other threads read the former
        found = self._summings[key] = _Summing.of(current, batched, weights)
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

    def _kernel(self, current: Tensor) -> Native | None:
        """What settles ``current`` in one pass; ``None`` where nothing can."""
        if (current.dtype, current.device) != (self.scale.dtype, self.scale.device):
            return None  # torch says what is wrong
        if not current.numel() or not without_gaps(current):
            return None
        if self._jobs is None or (torch.is_grad_enabled() and current.requires_grad):
            return None
        return native(self._jobs.kernel, current.dtype, current.device)

    def _job(
        self, current: Tensor, decoded: Tensor, places: dict[str, Tensor], threads: int, samples: int = 1
    ) -> np.ndarray[Any, Any]:
        """A job that fills ``decoded`` and ``places``."""
        assert self._jobs is not None
        job = self._jobs.job(current, samples, threads)
        job[PLACES["current"]], job[PLACES["decoded"]] = current.data_ptr(), decoded.data_ptr()
        for name, place in places.items():
            job[PLACES[name]] = place.data_ptr()
        return job


def summed(found: Quantized, batched: bool, weights: Sequence[NeuronWeights]) -> Sums:
    """Sums of what was counted of every neuron; axis 0 is that of samples if ``batched``."""
    assert found.spikes is not None and found.updates is not None
    spikes = over_samples(found.spikes) if batched else found.spikes
    total, updates = (float(each.sum(dtype=torch.float64)) for each in (spikes, found.updates))
    return Sums(total, updates, {each: each.total(spikes) for each in weights})
