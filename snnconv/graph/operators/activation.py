"""Activations: the functions that become populations of spiking neurons."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.activation_function import ActivationFunction, PiecewiseLinear
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, register


class ActivationOperator(Operator):
    """An operator that becomes a population."""

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.ACTIVATION)

    def activation(self, arguments: Arguments) -> ActivationFunction:
        """The population's activation function; defined for operators in normal form (see ``rewrite``)."""
        raise TypeError(f"{self.op} is rewritten before populations are made")


@register
class Relu(ActivationOperator):
    """``max(x, 0)``."""

    names = ("relu",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.relu(arguments["self"])

    def activation(self, arguments: Arguments) -> ActivationFunction:
        return PiecewiseLinear()


@register
class BoundedRelu(ActivationOperator):
    """``min(max(x, 0), maximum)``: the normal form of ReLU6, hard tanh and clamp."""

    names = ("bounded_relu",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.clamp(arguments["self"], 0.0, arguments["maximum"])

    def activation(self, arguments: Arguments) -> ActivationFunction:
        return PiecewiseLinear(maximum=float(arguments["maximum"]))


@register
class LeakyRelu(ActivationOperator):
    """``x`` above zero and ``negative_slope * x`` below."""

    names = ("leaky_relu",)

    def classify(self, node: Node, carries: Carries) -> Classification:
        if not 0.0 <= node.arguments["negative_slope"] <= 1.0:
            return Classification(Role.REFUSED, "its negative slope lies outside [0, 1]", "use a slope between 0 and 1")
        return super().classify(node, carries)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.nn.functional.leaky_relu(arguments["self"], arguments["negative_slope"])

    def activation(self, arguments: Arguments) -> ActivationFunction:
        return PiecewiseLinear(negative_slope=float(arguments["negative_slope"]))


@register
class IdentityPopulation(ActivationOperator):
    """The identity as a population of signed neurons: inserted where a gate needs spikes and none are there."""

    names = ("identity_population",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        values: Tensor = arguments["self"]
        return values

    def activation(self, arguments: Arguments) -> ActivationFunction:
        return PiecewiseLinear(negative_slope=1.0)


@register
class Clamp(ActivationOperator):
    """Clipping to an interval, which may be open on one side; rewritten into ReLU form."""

    names = ("clamp", "clip", "clamp_min", "clamp_max", "hardtanh", "relu6", "threshold")

    def classify(self, node: Node, carries: Carries) -> Classification:
        lower, upper = self.bounds(node.arguments)
        numbers = all(bound is None or isinstance(bound, (int, float)) for bound in (lower, upper))
        if not numbers or (lower is None and upper is None):
            return Classification(Role.REFUSED, "its bounds are not numbers", "clamp between two numbers")
        if lower is not None and upper is not None and lower >= upper:
            return Classification(Role.REFUSED, "its lower bound is not below its upper bound", "swap the bounds")
        if self.op == "threshold" and (node.arguments["threshold"], node.arguments["value"]) != (0, 0):
            return Classification(Role.REFUSED, "it jumps at its threshold", "use relu, or threshold(x, 0, 0)")
        return super().classify(node, carries)

    def bounds(self, arguments: Arguments) -> tuple[Any, Any]:
        """Lower and upper bound, ``None`` where there is none."""
        if self.op == "hardtanh":
            return arguments["min_val"], arguments["max_val"]
        if self.op in ("relu6", "threshold"):
            return 0.0, 6.0 if self.op == "relu6" else None
        lower, upper = (arguments.get(key) for key in ("min", "max"))
        return None if lower == -math.inf else lower, None if upper == math.inf else upper

    def evaluate(self, arguments: Arguments) -> Tensor:
        lower, upper = self.bounds(arguments)
        return torch.clamp(arguments["self"], lower, upper)
