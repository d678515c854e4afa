"""Gradients through windows of spikes: forward the window itself, backward a rule for what a step function has not."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from coding.learned_parameters import parameter_gradient
from snnconv.spiking.population import Population
from snnconv.spiking.settling import decode, normalise

#: How the derivative of a window's decoded value q by the normalised potential v is taken.
Rule = Literal["activation", "timing", "antlr"]
RULES: tuple[Rule, ...] = ("activation", "timing", "antlr")


def tuned_window(population: Population, current: Tensor, rule: Rule, payloads: Tensor | None = None) -> Tensor:
    """What the window of ``population`` decodes to for ``current``, with gradients for current, scale and shift.

    ``payloads`` are the parameters of the population's code (``coding.learned_parameters``), if they want a gradient.

    The values are those of the window simulator, bit for bit. With v = (current + shift) / scale, q what the window
    makes of it, and a the slope of the activation (1 above zero; below zero that of a leaky ReLU, else 0):

    * "activation": dq/dv = a wherever a train can carry the value (straight-through estimator): silent neurons
      between zero and the last threshold get a gradient too, so that spikes are created and removed.
    * "timing": dq/dv = q / v, as far as a train can carry the value. Payloads fall exponentially with time, so a
      potential that grows by a factor moves its spikes earlier by the logarithm of the factor, and what they carry
      grows by the factor; where levels are a free table this holds as far as they fall exponentially. Silent neurons
      have no spike to move, and no gradient. Neurons that compute a function have the slope of their function in all.
    * "antlr": both, each where it says more: "timing" for neurons that fire, "activation" for silent ones.

    A value beyond the largest train has no gradient by v in any. The output is scale q(v), hence its derivative by
    the scale is q - v dq/dv (Esser et al. 2020): the rounding error inside the range, the largest value beyond it. A
    parameter of the code changes what the spikes that there are are worth, in all of them.
    """
    found: Tensor = _Window.apply(current, population.scale, population.shift, payloads, population, rule)  # type: ignore[no-untyped-call]
    return found


class _Window(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        current: Tensor,
        scale: Tensor,
        shift: Tensor,
        payloads: Tensor | None,
        population: Population,
        rule: Rule,
    ) -> Tensor:
        decoded = decode(population, current)
        context.save_for_backward(current, scale, shift, decoded)
        context.population, context.rule = population, rule
        return decoded

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        current, scale, shift, decoded = context.saved_tensors
        population, rule = context.population, context.rule
        inverse_scale = 1.0 / population.broadcast(scale, current.dim())
        potential = normalise(population, current)
        slope = _slope(population, potential, decoded * inverse_scale, rule)
        to_current = gradient * slope
        wanted = context.needs_input_grad
        to_scale = to_shift = to_payloads = None
        if wanted[1]:
            to_scale = _by_channel(gradient * decoded * inverse_scale - to_current * potential, population, scale)
        if wanted[2]:
            to_shift = _by_channel(to_current, population, shift)
        if wanted[3]:
            to_payloads = _by_payloads(population, potential, decoded * inverse_scale, gradient / inverse_scale)
        return to_current if wanted[0] else None, to_scale, to_shift, to_payloads, None, None


def _slope(population: Population, potential: Tensor, decoded: Tensor, rule: Rule) -> Tensor:
    """dq/dv by ``rule``, for potentials and decoded values in units of the scale."""
    slope = population.slope(potential)
    inside = population.coded_size(population.unbounded(potential)) <= population.code.maximum
    if rule != "activation" and not population.computes_function:
        fired = decoded != 0
        silent = torch.zeros_like(slope) if rule == "timing" else slope
        slope = torch.where(fired, decoded / torch.where(fired, potential, 1.0), silent)
    return slope * inside


def _by_payloads(population: Population, potential: Tensor, decoded: Tensor, gradient: Tensor) -> Tensor:
    """The gradient by the parameters of the code, given that by ``decoded`` values in units of the scale."""
    code = population.code
    sizes = population.coded_size(population.unbounded(potential))
    # Negative values are decoded to less than what their spikes carry: by how much, the values themselves tell.
    carried = code.quantize(sizes, counted=False).values
    worth = torch.where(carried > 0, decoded / torch.where(carried > 0, carried, 1.0), 0.0)
    return parameter_gradient(code, sizes, gradient * worth)


def _by_channel(values: Tensor, population: Population, like: Tensor) -> Tensor:
    """``values`` summed over all that one entry of ``like`` serves."""
    if population.channel_axis is None:
        return values.sum().reshape(like.shape)
    axis = population.channel_axis % values.dim()
    return values.sum([other for other in range(values.dim()) if other != axis])
