"""Neurons that wait: what they fire in a window of their own, and the same window at once."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from coding import TTFS, Burst, Code, ConfigurationError, FewSpike, OneSpike, Phase, Rate
from coding.window.rounding import ROUNDINGS
from neurons import CorrectiveIntegrateFire, IntegrateFire, SignedIntegrateFire, SignedWindow, signed_neuron
from neurons.neuron import WindowNeuron

CODES: list[Code] = [
    *[OneSpike(12, 1.3, rounding) for rounding in ROUNDINGS],
    *[FewSpike(8, base, spikes) for base in (1.5, 2.0) for spikes in (2, 8)],
    FewSpike(8, 1.7, 3, "arithmetic"),
    Phase(8),
    Phase(5, 1.5),
    TTFS(20, 5.0),
    TTFS(20, 5.0, -2.5, "geometric"),
    Rate(1),
    Rate(16),
]
NEGATIVE: list[Literal["graded", "imbalanced"]] = ["graded", "imbalanced"]
SLOPES = [1.0, 0.25, 0.1]


def neurons_for(code: Code) -> list[SignedWindow | IntegrateFire]:
    signed: list[SignedWindow | IntegrateFire] = [SignedWindow(code, s, n) for s in SLOPES for n in NEGATIVE]
    return [IntegrateFire(code), *signed]


def values_for(code: Code, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    drawn = torch.rand(1500, generator=generator, dtype=dtype) * 2.8 - 1.4
    small = (torch.rand(1500, generator=generator, dtype=dtype) * 2 - 1) * 0.05
    return torch.cat([drawn, small, torch.tensor([0.0, -0.0, 1.0, -1.0, 7.0, -30.0], dtype=dtype)]) * code.maximum


def fire(neuron: WindowNeuron, code: Code, values: Tensor) -> Tensor:
    """Payloads [T, ...] of a window before which the values arrived, in three parts."""
    presentations = float(code.steps // code.period)
    state = neuron.initial(values)
    for part in (0.5, -0.25, 0.75):
        state = neuron.listen(values * part, state, presentations)
    payloads = []
    for t in range(code.steps):
        payload, state = neuron.fire(state, t)
        payloads.append(payload.clone())
        payload.fill_(99.0)  # the caller may change a payload
    return torch.stack(payloads)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_window_at_once_is_the_window_step_by_step(code: Code, dtype: torch.dtype) -> None:
    values = values_for(code, dtype)
    for neuron in neurons_for(code):
        payloads, found = fire(neuron, code, values), neuron.window(values)
        assert neuron.closed_form
        assert found.spikes is not None and torch.equal((payloads != 0).to(dtype).sum(0), found.spikes), neuron
        decoded = payloads.sum(0) * (code.period / code.steps)
        torch.testing.assert_close(found.values, decoded, rtol=8 * torch.finfo(dtype).eps, atol=0)
        uncounted = neuron.window(values, counted=False)
        torch.testing.assert_close(uncounted.values, found.values, rtol=8 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_neurons_with_a_window_follow_its_contract(code: Code) -> None:
    for neuron in neurons_for(code):
        assert isinstance(neuron, WindowNeuron)
        assert min(neuron.update_cost) >= 0 and neuron.update_cost.words >= 1


@pytest.mark.parametrize("neuron", [SignedIntegrateFire(Rate(4), 0.5), CorrectiveIntegrateFire(Rate(4))], ids=str)
def test_neurons_that_only_stream_have_no_window(neuron: object) -> None:
    assert not isinstance(neuron, WindowNeuron)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_step_is_listening_and_firing(code: Code) -> None:
    generator = torch.Generator().manual_seed(0)
    currents = torch.rand(code.steps, 200, generator=generator, dtype=torch.float64) * 0.6 - 0.25
    for neuron in neurons_for(code):
        state, other = neuron.initial(currents[0]), neuron.initial(currents[0])
        for t, current in enumerate(currents):
            payload, state = neuron.step(current.clone(), state, t, 0.5)
            other = neuron.listen(current.clone(), other, 0.5)
            expected, other = neuron.fire(other, t)
            assert torch.equal(payload, expected)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_an_integrate_and_fire_window_is_the_relu_of_the_quantised_value(code: Code) -> None:
    values = values_for(code)
    payloads = fire(IntegrateFire(code), code, values)
    assert bool((payloads >= 0).all()) and not payloads[:, values < 0].any()
    if code.period == code.steps:
        # The same train as encoding has; the values that arrived in parts are sums with a rounding error.
        assert torch.equal(payloads != 0, code.encode(values * 0.5 - values * 0.25 + values * 0.75) != 0)


@pytest.mark.parametrize("negative", NEGATIVE)
@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_signed_window_holds_spikes_of_one_sign_that_of_the_value(
    code: Code, slope: float, negative: Literal["graded", "imbalanced"]
) -> None:
    values = values_for(code)
    payloads = fire(SignedWindow(code, slope, negative), code, values)
    signs = payloads.sign()
    assert bool((signs * values.sign() >= 0).all())
    assert bool((signs == 1).any()) and bool((signs == -1).any())
    assert bool(((signs.amax(0) - signs.amin(0)) <= 1).all())


@pytest.mark.parametrize("negative", NEGATIVE)
@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_signed_window_is_leaky_relu_quantised_on_either_side(
    code: Code, slope: float, negative: Literal["graded", "imbalanced"]
) -> None:
    size = values_for(code).abs()
    positive = SignedWindow(code, slope, negative).window(size).values
    below = SignedWindow(code, slope, negative).window(-size).values
    assert torch.equal(positive, code.quantize(size).values)
    expected = {"graded": slope * code.quantize(size).values, "imbalanced": code.quantize(slope * size).values}
    torch.testing.assert_close(below, -expected[negative], rtol=1e-14, atol=0)


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("code", [OneSpike(24, 1.16, "lookahead"), FewSpike(8, 2.0, 4), Rate(64)], ids=str)
def test_a_signed_window_is_close_to_leaky_relu(code: Code, slope: float) -> None:
    values = torch.linspace(-1, 1, 801, dtype=torch.float64)
    for negative in NEGATIVE:
        error = (SignedWindow(code, slope, negative).window(values).values - leaky_relu(values, slope)).abs()
        assert float(error.max()) < 0.08


@pytest.mark.parametrize("slope", [0.25, 0.1])
@pytest.mark.parametrize("code", [OneSpike(12, 1.3), FewSpike(8, 2.0, 2), TTFS(20, 5.0)], ids=str)
def test_imbalanced_thresholds_spare_the_spikes_of_small_negative_values(code: Code, slope: float) -> None:
    values = -values_for(code).abs()
    graded, imbalanced = (SignedWindow(code, slope, negative).window(values) for negative in NEGATIVE)
    assert graded.spikes is not None and imbalanced.spikes is not None
    assert float(imbalanced.spikes.sum()) < float(graded.spikes.sum())
    # A value that is silent with imbalanced thresholds would have been worth less than the smallest level.
    smallest = code.encode(torch.tensor([code.maximum])).new_tensor(code.table().payloads[-1])  # type: ignore[attr-defined]
    missed = (imbalanced.spikes == 0) & (graded.spikes > 0)
    assert bool(missed.any()) and bool((slope * values[missed].abs() < smallest).all())


@pytest.mark.parametrize("negative", NEGATIVE)
@pytest.mark.parametrize("code", [c for c in CODES if not isinstance(c, Rate)], ids=str)
def test_a_slope_of_one_is_odd(code: Code, negative: Literal["graded", "imbalanced"]) -> None:
    values, neuron = values_for(code), SignedWindow(code, 1.0, negative)
    assert torch.equal(neuron.window(-values).values, -neuron.window(values).values)


def test_the_sign_of_a_window_is_that_of_its_first_spike() -> None:
    # Early firing: input that arrives after a spike does not turn the window.
    neuron = SignedWindow(FewSpike(4, 2.0, 4, "floor"), 1.0)
    state, payloads = neuron.initial(torch.zeros(2, dtype=torch.float64)), []
    for t, current in enumerate([[1.0, -1.0], [-0.75, 0.75], [1.5, -1.5], [0.0, 0.0]]):
        payload, state = neuron.step(torch.tensor(current, dtype=torch.float64), state, t)
        payloads.append(payload.tolist())
    assert payloads == [[1.0, -1.0], [0.0, 0.0], [0.25, -0.25], [0.125, -0.125]]


@pytest.mark.parametrize(("reset", "initial", "closed"), [
    ("subtract", None, True), ("subtract", 0.0, True), ("subtract", 0.25, False),
    ("zero", None, False), ("zero", 0.0, False),
])  # fmt: skip
def test_only_what_the_code_describes_has_a_closed_form(
    reset: Literal["subtract", "zero"], initial: float | None, closed: bool
) -> None:
    assert IntegrateFire(OneSpike(8, 1.4), reset, initial).closed_form == closed


@pytest.mark.parametrize(("code", "initial"), [(Rate(8), 0.5), (Burst(8, 0.25), 0.125), (Phase(8), 0.0)], ids=str)
def test_a_membrane_starts_where_the_code_says_unless_told_otherwise(code: Code, initial: float) -> None:
    like = torch.empty(3)
    assert IntegrateFire(code).initial(like).potential.tolist() == [initial] * 3
    assert IntegrateFire(code, initial_potential=0.75).initial(like).potential.tolist() == [0.75] * 3


@pytest.mark.parametrize(("slope", "start"), [(0.1, 0.5), (1.0, 0.0)])
def test_an_activation_with_a_slope_below_zero_gets_the_signed_neuron_of_its_schedule(
    slope: float, start: float
) -> None:
    assert signed_neuron(Rate(8), slope, windowed=True) == SignedWindow(Rate(8), slope)
    assert signed_neuron(Rate(8), slope, windowed=False) == SignedIntegrateFire(Rate(8), slope, initial_potential=start)


@pytest.mark.parametrize("slope", [0.0, -0.1, 1.1, float("nan")])
def test_a_slope_outside_zero_to_one_is_refused(slope: float) -> None:
    with pytest.raises(ConfigurationError, match="negative_slope"):
        SignedWindow(OneSpike(8, 1.4), slope)


@pytest.mark.parametrize("negative", ["", "IBT", None])
def test_an_unknown_variant_is_refused(negative: object) -> None:
    with pytest.raises(ConfigurationError, match="negative must be"):
        SignedWindow(OneSpike(8, 1.4), 0.1, negative)  # type: ignore[arg-type]
