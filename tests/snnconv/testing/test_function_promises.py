"""The public check of activation functions, over every registered one, and over members that break a promise."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from coding import Code, Rate
from neurons import Neuron
from snnconv.graph.operators import ACTIVATION_FUNCTIONS, ActivationFunction, PiecewiseLinear
from snnconv.graph.operators.tabulated import Tabulated
from snnconv.testing import check_activation_function

FUNCTION_EXAMPLES: dict[str, list[ActivationFunction]] = {
    "piecewise-linear": [PiecewiseLinear(slope, top) for slope in (0.0, 0.1, 0.25, 1.0) for top in (None, 1.5, 6.0)],
    "tabulated": [
        Tabulated(json.dumps([[op, {"self": {"result": 0}}]])) for op in ("silu", "sigmoid", "erf", "mish", "sin")
    ],
}


@pytest.mark.parametrize("name", ACTIVATION_FUNCTIONS)
def test_an_activation_function_keeps_its_promises(name: str) -> None:
    assert name in FUNCTION_EXAMPLES, f"{name} has no example: give some in FUNCTION_EXAMPLES"
    for function in FUNCTION_EXAMPLES[name]:
        assert type(function) is ACTIVATION_FUNCTIONS[name] and function.name == name
        check_activation_function(function)


@dataclass(frozen=True)
class ChangedFunction(ActivationFunction):
    """A smooth function, x above zero and tanh(x) below, of which one promise is broken."""

    broken: str = ""
    top: float = 6.0
    name = "changed"

    def __post_init__(self) -> None:
        if self.broken == "stored":
            object.__setattr__(self, "top", self.top + 1)

    def __call__(self, currents: Tensor) -> Tensor:
        return self.unbounded(currents).clamp(max=self.top - (self.broken == "cut"))

    @property
    def bound(self) -> float | None:
        return None if self.broken == "bound" else self.top

    def unbounded(self, currents: Tensor, unit: Tensor | float = 1.0) -> Tensor:
        if self.broken == "changes":
            currents.abs_()
        if self.broken == "others":
            currents = currents - 0.1 * currents.mean()
        given = currents if self.broken == "unit" else currents * unit
        return torch.where(given > 0, given, given.tanh()) / (1.0 if self.broken == "unit" else unit)

    def slope(self, currents: Tensor) -> Tensor:
        below = 1.0 - currents.tanh().square() * (self.broken != "slope")
        slope = torch.where(currents > 0, 1.0, below).to(currents.dtype)
        return slope.half() if self.broken == "precision" else slope

    def error_weight(self, currents: Tensor) -> Tensor:
        return self.slope(currents) ** (1 if self.broken == "weight" else 2)

    def coded_size(self, values: Tensor, negative: str) -> Tensor:
        match self.broken:
            case "size":
                return values.clamp(min=0.0)
            case "nothing":
                return values.abs() + (values == 0)
            case "above":
                return values.abs() * 2.0
            case "falls":
                return torch.where(values < 0, 2.0 + values, values)
            case "imbalanced":
                return torch.where(values < 0, -2.0 * values, values)
        return values.abs()

    def neuron(self, code: Code, windowed: bool, negative: Any) -> Neuron | None:
        if self.broken == "neuron":
            return None
        found = PiecewiseLinear(0.5).neuron(code, windowed and self.broken != "window", negative)
        return replace(found, code=Rate(7)) if self.broken == "code" else found  # type: ignore[type-var]


BROKEN_FUNCTIONS = {
    "stored": "its fields, stored and read, must make its equal",
    "changes": "must not change the currents",
    "others": "must not depend on the other currents",
    "precision": "slope must have the shape and precision",
    "bound": "without a bound, values and unbounded must be the same",
    "cut": "bound must be the largest value",
    "slope": "slope must be the derivative of unbounded",
    "weight": "error_weight must be the square of the slope",
    "unit": "unbounded must take and give multiples of the unit",
    "size": "coded_size must be no smaller than the value",
    "nothing": "coded_size must be 0 for a value of 0",
    "above": "coded_size must be the value above 0",
    "falls": "coded_size must grow with the size",
    "imbalanced": "imbalanced thresholds encode the size of the value",
    "neuron": "has values below 0, so neuron must give a neuron",
    "window": "a neuron for a window must be a WindowNeuron",
    "code": "with the code that it was asked for",
}


@pytest.mark.parametrize("broken", BROKEN_FUNCTIONS)
def test_a_promise_that_an_activation_function_breaks_is_named(broken: str) -> None:
    check_activation_function(ChangedFunction())
    with pytest.raises(AssertionError, match=BROKEN_FUNCTIONS[broken]):
        check_activation_function(ChangedFunction(broken))


def test_a_slope_at_a_kink_lies_between_those_of_both_sides() -> None:
    class Steep(PiecewiseLinear):
        def slope(self, currents: Tensor) -> Tensor:
            return torch.where(currents.abs() < 1e-9, 2.0, super().slope(currents))

    with pytest.raises(AssertionError, match="slope at a kink must lie between its two sides"):
        check_activation_function(Steep())
