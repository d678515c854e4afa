"""Steps of a stream: what the neurons of a population make of their currents, some time steps in a row.

One arithmetic serves everybody, bit for bit: that of the neuron's own ``step``, in which every product is rounded
before it is added. Steps lie behind each other along the samples, ``[steps * N, ...]``, those of one step together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from coding.firing_form import GrowingThreshold
from coding.window.closed_form import memory_order
from neurons import BiasedNeuron, Neuron
from neurons.step_form import StepForm, step_form_of
from snnconv.kernels.backends import chosen
from snnconv.kernels.layouts import alike, along_axis, dense, over_samples
from snnconv.kernels.stream_jobs import Pass, StepJobs
from snnconv.kernels.stream_tensors import StepTensors

_DTYPES = (torch.float32, torch.float64)

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


class StepKernel(Protocol):
    """What takes steps of a population in one pass over a current without gaps, to the bit as torch does."""

    def ready(self, current: Tensor) -> bool:
        """Whether it is to take steps of a ``current`` like this."""
        ...

    def take(self, given: Pass) -> bool:
        """Take the steps that are ``given``; false, and none is, where it cannot."""
        ...


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

    @cached_property
    def _form(self) -> StepForm | None:
        return step_form_of(self.neuron, self.scale.dtype) if self.scale.dtype in _DTYPES else None

    @cached_property
    def _jobs(self) -> StepJobs | None:
        return None if self._form is None else StepJobs(self._form, *self._told)

    @cached_property
    def _tensors(self) -> StepTensors | None:
        return None if self._form is None else StepTensors(self._form, *self._told)

    @property
    def _told(self) -> tuple[int | None, Tensor | None, Tensor, Tensor]:
        return self.axis, self.shift, self.inverse_scale, self.scale

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
            advanced = self._run(kernel, current, state, span, still, own, counted, watch)
            if advanced is not None:
                return advanced
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

    def _kernel(self, current: Tensor, state: Any, span: Span) -> StepKernel | None:
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
        by = chosen(current.device)
        kernel = self._jobs if by == "numba" else self._tensors if by == "triton" else None
        return kernel if kernel is not None and kernel.ready(current) else None

    def _run(
        self,
        kernel: StepKernel,
        current: Tensor,
        state: Any,
        span: Span,
        still: bool,
        own: bool,
        counted: bool,
        watch: Watch | None,
    ) -> Advanced | None:
        form = self._form
        assert form is not None
        firing, samples, fixed = form.firing, span.samples if self.batched else 1, None
        if isinstance(firing, GrowingThreshold):
            absent = [name for name in state._fields if "memory" in name and getattr(state, name) is None]
            start = {name: torch.full_like(state.potential, firing.threshold) for name in absent}
            state = state._replace(**start)
        else:
            places = [(span.first + step) % len(firing.payloads) for step in range(span.steps)]
            fixed = self.scale.new_tensor([[row[place] for place in places] for row in firing])
        payloads = current if own else _empty_like(current, span.steps if still else 1)
        spikes = torch.empty_like(state.potential[0] if self.batched else state.potential) if counted else None
        given = Pass(current, still, samples, span.steps, span.shifting, state, fixed, payloads, watch is None, spikes)
        if not kernel.take(given):
            return None
        if watch is not None:
            for step in range(span.steps):
                watch(span.first + step, span.of_step(payloads, step))
            payloads.mul_(self._broadcast(self.scale, payloads.dim()))
        return Advanced(payloads, state, spikes)


def _empty_like(values: Tensor, times: int) -> Tensor:
    """Room for so many times ``values``, behind each other, laid out as they are."""
    if times == 1:
        return torch.empty_like(values)
    order = memory_order(values)
    shape = [values.shape[axis] * (times if axis == 0 else 1) for axis in order]
    return values.new_empty(shape).permute([order.index(axis) for axis in range(values.dim())])
