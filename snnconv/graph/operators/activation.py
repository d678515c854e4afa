"""Activations: the functions that become populations of spiking neurons."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.activation_function import ActivationFunction, PiecewiseLinear
from snnconv.graph.operators.base import OPERATORS, Arguments, Carries, Classification, Operator, Role, register
from snnconv.graph.operators.remedies import COMPARED


class ActivationOperator(Operator):
    """An operator that becomes a population."""

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.ACTIVATION)

    def activation(self, arguments: Arguments) -> ActivationFunction:
        """The population's activation function; defined for operators in normal form (see ``rewrite``)."""
        raise TypeError(f"{self.op} is rewritten before populations are made")

    def current(self, arguments: Arguments) -> Tensor:
        """What the population takes its function of once everything has arrived: the sum of what it listens to."""
        current: Tensor = arguments["self"]
        return current

    def monotone(self, arguments: Arguments) -> bool:
        """Whether it is one function for all elements that never falls, so that maxima may be taken behind it."""
        return False


def activation_at(node: Node) -> ActivationOperator:
    """The operator of ``node``, that of a population."""
    operator = OPERATORS[node.op]
    assert isinstance(operator, ActivationOperator)
    return operator


@register
class Relu(ActivationOperator):
    """``max(x, 0)``."""

    names = ("relu",)
    pointwise = True

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.relu(arguments["self"])

    def monotone(self, arguments: Arguments) -> bool:
        return True

    def activation(self, arguments: Arguments) -> ActivationFunction:
        return PiecewiseLinear()


@register
class BoundedRelu(ActivationOperator):
    """``min(max(x, 0), maximum)``: the normal form of ReLU6, hard tanh and clamp."""

    names = ("bounded_relu",)
    pointwise = True

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.clamp(arguments["self"], 0.0, arguments["maximum"])

    def monotone(self, arguments: Arguments) -> bool:
        return True

    def activation(self, arguments: Arguments) -> ActivationFunction:
        return PiecewiseLinear(maximum=float(arguments["maximum"]))


@register
class LeakyRelu(ActivationOperator):
    """``x`` above zero and ``negative_slope * x`` below; slopes outside [0, 1] are rewritten."""

    names = ("leaky_relu",)
    pointwise = True

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.nn.functional.leaky_relu(arguments["self"], arguments["negative_slope"])

    def monotone(self, arguments: Arguments) -> bool:
        return bool(arguments["negative_slope"] >= 0)

    def activation(self, arguments: Arguments) -> ActivationFunction:
        return PiecewiseLinear(negative_slope=float(arguments["negative_slope"]))


@register
class IdentityPopulation(ActivationOperator):
    """The identity as a population of signed neurons: inserted where spikes are needed and there are none.

    Of ``identity_population`` a maximum picks, ``relay_population`` stands in front of a product of two signals or
    behind one, ``output_population`` is the output, decoded from spike counts.
    """

    names = ("identity_population", "relay_population", "output_population")

    def evaluate(self, arguments: Arguments) -> Tensor:
        values: Tensor = arguments["self"]
        return values

    def monotone(self, arguments: Arguments) -> bool:
        return True

    def activation(self, arguments: Arguments) -> ActivationFunction:
        return PiecewiseLinear(negative_slope=1.0)


@register
class Clamp(ActivationOperator):
    """Clipping to an interval, open on one side or not, between numbers or tensors; rewritten into ReLU form."""

    names = ("clamp", "clip", "clamp_min", "clamp_max", "hardtanh", "relu6", "threshold")
    pointwise = True

    def classify(self, node: Node, carries: Carries) -> Classification:
        lower, upper = self.bounds(node.arguments)
        if lower is None and upper is None:
            return Classification(Role.REFUSED, "it has no bounds", "leave it out, or give it one")
        if _are_numbers(lower, upper) and lower is not None and upper is not None and lower >= upper:
            return Classification(Role.REFUSED, "its lower bound is not below its upper bound", "swap the bounds")
        if self.op == "threshold" and node.arguments["threshold"] != node.arguments["value"]:
            return Classification(Role.READOUT, COMPARED.reason, COMPARED.remedy)
        return super().classify(node, carries)

    def bounds(self, arguments: Arguments) -> tuple[Any, Any]:
        """Lower and upper bound, ``None`` where there is none."""
        if self.op == "threshold":
            return arguments["threshold"], None
        if self.op == "relu6":
            return 0.0, 6.0
        names = ("min_val", "max_val") if self.op == "hardtanh" else ("min", "max")
        lower, upper = (arguments.get(name) for name in names)
        open_below, open_above = (
            isinstance(lower, float) and lower == -math.inf,
            isinstance(upper, float) and upper == math.inf,
        )
        return None if open_below else lower, None if open_above else upper

    def evaluate(self, arguments: Arguments) -> Tensor:
        if self.op == "threshold":
            return torch.threshold(arguments["self"], arguments["threshold"], arguments["value"])
        lower, upper = self.bounds(arguments)
        return torch.clamp(arguments["self"], lower, upper)

    def monotone(self, arguments: Arguments) -> bool:
        return _are_numbers(*self.bounds(arguments))


def _are_numbers(*bounds: Any) -> bool:
    return all(bound is None or isinstance(bound, (int, float)) for bound in bounds)
