"""One layer of synapses and neurons as an autograd function over all time steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neurons.double_exponential import DoubleExponential
from snnconv.learning.recursions import propagate_back, respond
from snnconv.learning.rule import GradientRule
from snnconv.surroundings import own_surroundings


class Spikes(NamedTuple):
    """Spikes of a layer, ``[T, N, n]``; a loss may depend on their existence, on their times, or on both.

    ``events`` is 1 where a spike is, else 0. ``times`` is t where a spike is at step t, else 0: a gradient by it is
    that by the spike's time.
    """

    events: Tensor
    times: Tensor


class LayerSpikes(NamedTuple):
    """``Spikes`` of a layer, and the potentials ``[T, N, n]`` before the reset, which carry no gradient."""

    events: Tensor
    times: Tensor
    potential: Tensor

    @property
    def spikes(self) -> Spikes:
        """The part that carries gradients."""
        return Spikes(self.events, self.times)


@own_surroundings()
def run_layer(
    spikes: Spikes, weight: Tensor, bias: Tensor | None, neuron: DoubleExponential, rule: GradientRule
) -> LayerSpikes:
    """The layer with ``weight`` ``[n, inputs]`` and ``bias`` ``[n]`` under ``spikes`` ``[T, N, inputs]``.

    Backward gives the gradients of ``rule`` (Kim, Kim and Kim 2020) for weight, bias, and the spikes below.
    """
    apply: Callable[..., tuple[Tensor, Tensor, Tensor]] = _Layer.apply
    return LayerSpikes(*apply(spikes.events, spikes.times, weight, bias, neuron, rule))


def spike_times(events: Tensor) -> Tensor:
    """``times`` of ``Spikes`` for ``events`` ``[T, ...]``."""
    steps = torch.arange(events.shape[0], dtype=events.dtype, device=events.device)
    return events * steps.view(-1, *[1] * (events.dim() - 1))


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        events: Tensor,
        times: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        neuron: DoubleExponential,
        rule: GradientRule,
    ) -> tuple[Tensor, Tensor, Tensor]:
        active = _active(events)
        response = respond(neuron, _weighted(events, active, weight), bias)
        ctx.neuron, ctx.rule = neuron, rule
        ctx.save_for_backward(events, active, weight, response.events, response.potential)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(response.potential)
        return response.events, spike_times(response.events), response.potential

    @staticmethod
    @own_surroundings()
    @once_differentiable
    def backward(
        ctx: Any, of_events: Tensor | None, of_times: Tensor | None, _: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        below, active, weight, events, potential = ctx.saved_tensors
        neuron, rule = ctx.neuron, ctx.rule
        gradient = rule.potential_gradient(events, potential, of_events, of_times)
        # Nothing flows back in time from behind the last step that carries a gradient.
        carrying = _active(gradient).nonzero()
        last = int(carrying[-1]) + 1 if len(carrying) else 1
        lower = ctx.needs_input_grad[0]
        flow = propagate_back(neuron, gradient[:last], events[:last], times=lower and rule.of_timing)
        of_weight = of_bias = below_events = below_times = None
        if ctx.needs_input_grad[2]:
            firing = active[:last]
            of_weight = flow.current[firing].flatten(0, 1).T @ below[:last][firing].flatten(0, 1)
            if rule.silent_push:
                silent = (~events.any(0)).to(weight.dtype).mean(0)
                of_weight.sub_((rule.silent_push / weight.shape[1] * silent).unsqueeze(1))
        if ctx.needs_input_grad[3]:
            of_bias = neuron.gain * flow.potential.sum((0, 1))
        if lower and rule.of_activation:
            below_events = _extended(flow.current @ weight, below)
        if lower and flow.time is not None:
            below_times = _extended(below[:last] * (flow.time @ weight), below)
        return below_events, below_times, of_weight, of_bias, None, None


def _active(values: Tensor) -> Tensor:
    """Steps ``[T]`` of ``values`` ``[T, N, n]`` with anything but zeros; torch's ``any`` takes ten times as long."""
    lowest, highest = values.flatten(1).aminmax(dim=1)
    return (lowest != 0) | (highest != 0)


def _weighted(events: Tensor, active: Tensor, weight: Tensor) -> Tensor:
    """``events @ weight.T``, computed for the ``active`` steps: encoded images are silent most of the time."""
    if bool(active.all()):
        return events @ weight.T
    drive = weight.new_zeros(*events.shape[:2], weight.shape[0])
    drive[active] = events[active] @ weight.T
    return drive


def _extended(values: Tensor, like: Tensor) -> Tensor:
    """``values`` with zeros appended up to as many steps as ``like`` has."""
    if len(values) == len(like):
        return values
    return torch.cat([values, values.new_zeros(len(like) - len(values), *values.shape[1:])])
