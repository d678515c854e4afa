"""Functions made of straight pieces that no single population computes; rewritten into ReLU form and affine maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.activation import ActivationOperator
from snnconv.graph.operators.base import Arguments, Carries, Classification, Role, register


@register
class Prelu(ActivationOperator):
    """``x`` above zero and ``weight * x`` below, with one slope or one per channel (axis 1).

    ``_prelu_kernel`` takes slopes in the shape in which they multiply.
    """

    names = ("prelu", "_prelu_kernel")

    def classify(self, node: Node, carries: Carries) -> Classification:
        if carries["weight"]:
            reason, remedy = "its slopes are computed from the input", "keep the slopes constant"
            return Classification(Role.READOUT, reason, remedy)
        return super().classify(node, carries)

    def slopes(self, weight: Tensor, dims: int) -> Tensor:
        """``weight`` in the shape in which it multiplies a signal of so many axes."""
        return weight.view(-1, *[1] * (dims - 2)) if self.op == "prelu" and weight.numel() > 1 else weight

    def evaluate(self, arguments: Arguments) -> Tensor:
        values: Tensor = arguments["self"]
        return torch.where(values > 0, values, self.slopes(arguments["weight"], values.dim()) * values)


@register
class RandomizedLeakyRelu(ActivationOperator):
    """A leaky ReLU whose slope is drawn in training: at inference it is the mean of both bounds."""

    names = ("rrelu",)

    def classify(self, node: Node, carries: Carries) -> Classification:
        if node.arguments["training"]:
            return Classification(
                Role.REFUSED, "it draws random slopes", "leave training at False at inference: training=self.training"
            )
        return super().classify(node, carries)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.rrelu(arguments["self"], arguments["lower"], arguments["upper"])

    def monotone(self, arguments: Arguments) -> bool:
        return bool(arguments["lower"] + arguments["upper"] >= 0)


class OutputFunction(ActivationOperator):
    """A function that is also the output's own, where neither weights nor populations are behind it (``Analysis``)."""

    pointwise = True
    _functions: ClassVar[dict[str, Callable[..., Tensor]]]

    def evaluate(self, arguments: Arguments) -> Tensor:
        return self._functions[self.op](*arguments.values())


@register
class Extremum(OutputFunction):
    """The larger or the smaller of two tensors, element by element: two signals, or a signal and a constant."""

    _functions: ClassVar[dict[str, Callable[..., Tensor]]] = {
        "maximum": torch.maximum,
        "minimum": torch.minimum,
        "fmax": torch.maximum,
        "fmin": torch.minimum,
    }
    names = (*_functions,)


@register
class PiecewiseLinearFunction(OutputFunction):
    """A function of one signal, element by element, with its corners at constants."""

    _functions: ClassVar[dict[str, Callable[..., Tensor]]] = {
        "abs": torch.abs,
        "hardsigmoid": torch.nn.functional.hardsigmoid,
        "softshrink": torch.nn.functional.softshrink,
    }
    names = (*_functions,)

    def monotone(self, arguments: Arguments) -> bool:
        return self.op != "abs"
