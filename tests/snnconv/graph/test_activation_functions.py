"""Activation functions: values, slopes and sizes are those of the functions they stand for."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from coding import FewSpike
from neurons import SignedIntegrateFire, SignedWindow
from snnconv import ConfigurationError
from snnconv.graph.operators import ACTIVATION_FUNCTIONS, ActivationFunction, PiecewiseLinear

#: A piecewise linear function, what it is without its bound, and the bound.
MEMBERS: dict[str, tuple[ActivationFunction, Callable[[Tensor], Tensor], float]] = {
    "relu": (PiecewiseLinear(), torch.relu, math.inf),
    "relu6": (PiecewiseLinear(maximum=6.0), torch.relu, 6.0),
    "leaky relu": (PiecewiseLinear(0.25), lambda x: F.leaky_relu(x, 0.25), math.inf),
    "identity": (PiecewiseLinear(1.0), lambda x: 1.0 * x, math.inf),
    "identity with a bound": (PiecewiseLinear(1.0, 6.0), lambda x: 1.0 * x, 6.0),
}
#: Currents on both sides of 0, of which none is one.
CURRENTS = torch.linspace(-9, 9, 74, dtype=torch.float64)


@pytest.mark.parametrize("name", MEMBERS)
def test_values_and_slopes_are_those_of_the_function(name: str) -> None:
    activation, function, bound = MEMBERS[name]
    currents = CURRENTS.clone().requires_grad_()
    free = function(currents)
    free.sum().backward()
    assert torch.equal(activation(CURRENTS), free.detach().clamp(max=bound))
    assert torch.equal(activation.unbounded(CURRENTS, 0.3), activation.slope(CURRENTS) * CURRENTS)  # in any unit
    assert (math.inf if activation.bound is None else activation.bound) == bound
    assert currents.grad is not None
    assert torch.equal(activation.slope(CURRENTS), currents.grad)
    torch.testing.assert_close(activation.error_weight(CURRENTS), currents.grad.square(), rtol=1e-15, atol=0)


@pytest.mark.parametrize("name", MEMBERS)
def test_graded_spikes_encode_currents_and_imbalanced_thresholds_values(name: str) -> None:
    activation, function, _ = MEMBERS[name]
    values = function(CURRENTS)
    assert torch.equal(activation.coded_size(values, "imbalanced"), values.abs())
    passing = torch.where(activation.slope(CURRENTS) > 0, CURRENTS.abs(), 0.0)
    torch.testing.assert_close(activation.coded_size(values, "graded"), passing, rtol=1e-15, atol=0)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_function_with_values_below_zero_needs_a_signed_neuron(name: str) -> None:
    activation, _, _ = MEMBERS[name]
    kinds = [type(activation.neuron(FewSpike(), windowed, "graded")) for windowed in (True, False)]
    signed = bool((activation(CURRENTS) < 0).any())
    assert kinds == ([SignedWindow, SignedIntegrateFire] if signed else [type(None), type(None)])


@pytest.mark.parametrize(
    ("slope", "maximum"), [(-0.1, None), (1.5, None), (math.nan, None), (0.0, 0.0), (0.0, math.inf), (0.0, math.nan)]
)
def test_slopes_and_bounds_that_cannot_be_are_refused(slope: float, maximum: float | None) -> None:
    with pytest.raises(ConfigurationError, match=r"must lie in|must be finite"):
        PiecewiseLinear(slope, maximum)


def test_the_registry_knows_every_function_by_its_name() -> None:
    assert all(name == function.name for name, function in ACTIVATION_FUNCTIONS.items())
