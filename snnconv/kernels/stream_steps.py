"""Steps of a stream: what the neurons of a population make of their currents, some time steps in a row.

One arithmetic serves everybody, bit for bit: that of the neuron's own ``step``, in which every product is rounded
before it is added. Steps lie behind each other along the samples, ``[steps * N, ...]``, those of one step together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from coding.firing_form import GrowingThreshold
from coding.window.closed_form import memory_order
from neurons import BiasedNeuron, Neuron
from neurons.step_form import Kind, StepForm, step_form_of
from snnconv.kernels.backends import native
from snnconv.kernels.layouts import ChannelConstants, alike, along_axis, dense, over_samples, parts_of
from snnconv.kernels.native import Native, places_of, threads_for

_DTYPES = (torch.float32, torch.float64)

#: What a compiled kernel is told. Names of tensors are addresses, 0 where there is none.
#:
#: Threads take one of ``parts`` after the other, of ``blocks`` each, until ``taken`` says that none is left.
#: ``samples`` maps of ``size`` neurons lie behind each other, in rows of ``width``, those of the next of ``steps``
#: behind them, or the same currents for all if ``still``. ``constants`` are shifts, inverse scales and scales,
#: ``period`` of each: ``along`` a row, or one for each row, in turn. ``fixed`` are payloads and bounds of all steps.
#: Then come the state, which is changed, the numbers of the ``StepForm``, and the places of results; payloads are
#: ``scaled`` where nobody wants them as they are, and ``sums`` are spikes over samples and steps.
JOB: np.dtype[Any] = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("taken", "parts", "blocks"),
            *("current", "still", "samples", "size", "steps", "width", "along", "shifted", "period", "constants"),
            *("growing", "fixed", "kind", "potential", "emitted", "memory", "negative_memory"),
            *("scaled", "payloads", "sums"),
        )
    ]
    + [(name, np.float64) for name in ("threshold", "gain", "largest", "share", "offset", "charge", "sent")]
)
#: Where the numbers of a job are, among all.
_PLACES = places_of(JOB)
#: Written out: compiled kernels hold places in it, and are kept until a file of this folder changes.
KINDS: tuple[Kind, ...] = ("subtract", "zero", "corrective", "graded", "imbalanced")

#: Told the number of a step and its payloads.
Watch = Callable[[int, Tensor], None]


class Span(NamedTuple):
    """Steps that are computed together: ``steps`` from ``first`` on, for ``samples``; a shift arrives if ``shifting``.

    A network without a batch axis has one sample, and takes one step at a time.
    """

    first: int
    steps: int
    samples: int
    shifting: bool

    def of_step(self, values: Tensor, step: int) -> Tensor:
        """Those of ``values`` that belong to a step, counted from the first: all where they are the same in all."""
        if self.steps == 1 or values.shape[0] == self.samples:
            return values
        return values[step * self.samples : (step + 1) * self.samples]


class Advanced(NamedTuple):
    """What neurons sent, in the network's units, their state, and spikes over samples and steps if counted."""

    decoded: Tensor
    state: Any
    spikes: Tensor | None


class Steps:
    """The steps of a population, ready for currents.

    Args:
        neuron: The neurons.
        axis: Axis of the channels in a current; ``None`` where one scale serves all.
        scale: ``[channels]``, or ``[1]``.
        shift: As many.
        batched: Whether the first axis of a current is that of samples.
    """

    def __init__(self, neuron: Neuron, axis: int | None, scale: Tensor, shift: Tensor, batched: bool) -> None:
        self.neuron, self.axis, self.batched = neuron, axis, batched
        self.scale, self.inverse_scale = scale, 1.0 / scale
        self.shift = shift if bool(shift.any()) else None
        self._constants = ChannelConstants(axis, torch.stack([shift, self.inverse_scale, scale]))
        self._jobs: dict[tuple[Any, ...], np.ndarray[Any, Any]] = {}

    @cached_property
    def _form(self) -> StepForm | None:
        return step_form_of(self.neuron, self.scale.dtype) if self.scale.dtype in _DTYPES else None

    def advance(
        self, current: Tensor, state: Any, span: Span, *, own: bool, counted: bool, watch: Watch | None
    ) -> Advanced:
        """The steps of ``span``; ``state`` is consumed, and so is ``current`` if it is their ``own``.

        Args:
            current: ``[steps * N, ...]``, or ``[N, ...]`` if it is the same in all steps.
            state: What the neurons remember; ``None`` before step 0.
            span: Which steps.
            own: Whether the storage of ``current`` may be used.
            counted: Whether spikes are wanted.
            watch: Who wants the payloads of every step; they may be reused after the call.
        """
        # Capture puts the batch on the first axis of all that is no affine map.
        assert not self.batched or current.shape[0] in (span.samples, span.steps * span.samples)
        current = dense(current)
        if state is None:
            state = self.neuron.initial(span.of_step(current, 0))
        still = span.steps > 1 and current.shape[0] == span.samples
        own = own and not still
        kernel = self._kernel(current, state, span)
        if kernel is not None:
            return self._run(kernel, current, state, span, still, own, counted, watch)
        payloads = current if own else _empty_like(current, span.steps if still else 1)
        spikes: Tensor | None = None
        for step in range(span.steps):
            given = span.of_step(current, step)
            payload, state = self._step(given if own else given.clone(), state, span.first + step, span.shifting)
            if counted:
                fired = payload.ne(0).to(payload.dtype)
                fired = over_samples(fired) if self.batched else fired
                spikes = fired if spikes is None else spikes + fired
            if watch is not None:
                watch(span.first + step, payload)
            torch.mul(payload, self._broadcast(self.scale, payload.dim()), out=span.of_step(payloads, step))
        return Advanced(payloads, state, spikes)

    def _step(self, current: Tensor, state: Any, t: int, shifting: bool) -> tuple[Tensor, Any]:
        inverse_scale = self._broadcast(self.inverse_scale, current.dim())
        if self.shift is None or not shifting:
            return self.neuron.step(current, state, t, inverse_scale)
        shift = self._broadcast(self.shift, current.dim())
        if isinstance(self.neuron, BiasedNeuron):
            return self.neuron.biased_step(current, state, t, inverse_scale, shift * inverse_scale)
        return self.neuron.step(current.add_(shift), state, t, inverse_scale)

    def _broadcast(self, values: Tensor, dims: int) -> Tensor:
        return along_axis(values, self.axis, dims)

    def _kernel(self, current: Tensor, state: Any, span: Span) -> Native | None:
        """What takes all steps in one pass; ``None`` where nothing can."""
        if current.requires_grad or not current.numel() or self._form is None:
            return None
        if (current.dtype, current.device) != (self.scale.dtype, self.scale.device):
            return None  # torch says what is wrong
        if self.batched and memory_order(current)[0] != 0:
            return None
        given = span.of_step(current, 0)
        if not all(alike(given, part) for part in state if part is not None):
            return None
        return native("stream_steps_numba", current.dtype, current.device)

    def _run(
        self,
        kernel: Native,
        current: Tensor,
        state: Any,
        span: Span,
        still: bool,
        own: bool,
        counted: bool,
        watch: Watch | None,
    ) -> Advanced:
        form = self._form
        assert form is not None
        firing, samples = form.firing, span.samples if self.batched else 1
        threads = threads_for(state.potential.numel() * span.steps)
        job = self._job(state.potential, samples, threads, form)
        if isinstance(firing, GrowingThreshold):
            absent = [name for name in state._fields if "memory" in name and getattr(state, name) is None]
            start = {name: torch.full_like(state.potential, firing.threshold) for name in absent}
            state = state._replace(**start)
        else:
            places = [(span.first + step) % len(firing.payloads) for step in range(span.steps)]
            fixed = self.scale.new_tensor([[row[place] for place in places] for row in firing])
            job[_PLACES["fixed"]] = fixed.data_ptr()
        for name, value in zip(state._fields, state, strict=True):
            job[_PLACES[name]] = 0 if value is None else value.data_ptr()
        payloads = current if own else _empty_like(current, span.steps if still else 1)
        spikes = torch.empty_like(state.potential[0] if self.batched else state.potential) if counted else None
        job[_PLACES["current"]], job[_PLACES["payloads"]] = current.data_ptr(), payloads.data_ptr()
        job[_PLACES["still"]], job[_PLACES["steps"]] = still, span.steps
        job[_PLACES["shifted"]] = self.shift is not None and span.shifting
        job[_PLACES["scaled"]] = watch is None
        job[_PLACES["sums"]] = 0 if spikes is None else spikes.data_ptr()
        kernel(job, threads)
        if watch is not None:
            for step in range(span.steps):
                watch(span.first + step, span.of_step(payloads, step))
            payloads.mul_(self._broadcast(self.scale, payloads.dim()))
        return Advanced(payloads, state, spikes)

    def _job(self, potential: Tensor, samples: int, threads: int, form: StepForm) -> np.ndarray[Any, Any]:
        """What a kernel is told of all steps of potentials like these, as whole numbers; addresses are 0."""
        key = (potential.shape, potential.stride(), threads)
        if key not in self._jobs:
            rows, constants = self._constants.along(potential)
            parts, blocks = parts_of(potential.numel() // samples, rows, threads)
            job = np.zeros(1, JOB)
            growing = isinstance(form.firing, GrowingThreshold)
            for name, value in {
                "parts": parts,
                "blocks": blocks,
                "samples": samples,
                "size": potential.numel() // samples,
                "width": rows.width,
                "along": rows.along,
                "period": constants.shape[1],
                "constants": constants.data_ptr(),
                "growing": growing,
                "kind": KINDS.index(form.kind),
                "offset": form.offset,
                "charge": form.charge,
                "sent": form.sent,
                **(form.firing._asdict() if growing else {}),
            }.items():
                job[name] = value
            self._jobs[key] = job.view(np.int64)
        return self._jobs[key].copy()


def _empty_like(values: Tensor, times: int) -> Tensor:
    """Room for so many times ``values``, behind each other, laid out as they are."""
    if times == 1:
        return torch.empty_like(values)
    order = memory_order(values)
    shape = [values.shape[axis] * (times if axis == 0 else 1) for axis in order]
    return values.new_empty(shape).permute([order.index(axis) for axis in range(values.dim())])
