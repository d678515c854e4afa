"""Any function of one variable as an activation: a population whose neurons look their spike up in a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from coding import Code, ConfigurationError
from neurons import IntegrateFire, Negative, Neuron, TableLookup
from snnconv.graph.operators.activation import ActivationOperator
from snnconv.graph.operators.activation_function import ActivationFunction, register_activation_function
from snnconv.graph.operators.base import Arguments, register
from snnconv.graph.operators.expression import expression


@register_activation_function
@dataclass(frozen=True)
class Tabulated(ActivationFunction):
    """The function of one variable that ``function`` says (see ``Expression``): SiLU, GELU, sigmoid, exp and others.

    Of one that ``divides`` others, such as the root of a variance, the relative error counts, and it is never silent.

    Raises ``ConfigurationError`` for text that says no function.
    """

    function: str
    divides: bool = False
    name: ClassVar[str] = "tabulated"

    def __post_init__(self) -> None:
        expression(self.function)

    def __call__(self, currents: Tensor) -> Tensor:
        return expression(self.function)(currents)

    def __str__(self) -> str:
        return expression(self.function).name

    @property
    def bound(self) -> float | None:
        return None

    def unbounded(self, currents: Tensor, unit: Tensor | float = 1.0) -> Tensor:
        return self(currents * unit) / unit

    def slope(self, currents: Tensor) -> Tensor:
        with torch.enable_grad():
            variable = currents.detach().requires_grad_()
            values = self(variable)
            if not values.requires_grad:
                return torch.zeros_like(currents)
            (found,) = torch.autograd.grad(values.sum(), variable)
        return torch.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)

    def error_weight(self, currents: Tensor) -> Tensor:
        return self.slope(currents).square()

    def coded_size(self, values: Tensor, negative: Negative) -> Tensor:
        return values.abs()

    def neuron(self, code: Code, windowed: bool, negative: Negative) -> Neuron | None:
        if not windowed:
            raise ConfigurationError(
                f"{self} is looked up in a table once all of a current has arrived, which only windows wait for; use "
                "schedule=Pipeline() with a window code, such as coding=FewSpike(8, spikes=3) or OneSpike(24)"
            )
        return TableLookup(code) if code.computes is None else IntegrateFire(code)


@register
class TabulatedFunction(ActivationOperator):
    """A function of one variable, element by element: what a chain of operators became."""

    names = ("tabulated",)
    pointwise = True

    def evaluate(self, arguments: Arguments) -> Tensor:
        return expression(arguments["function"])(arguments["self"])

    def activation(self, arguments: Arguments) -> ActivationFunction:
        return Tabulated(str(arguments["function"]), bool(arguments.get("divides", False)))
