"""The published optimisation of the TTFS kernel (T2FSNN, Park et al. 2020)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from coding import TTFS, ConfigurationError
from coding.fit import Extremes, fit, optimize_kernel

VALUES = [0.004, 0.03, 0.11, 0.26, 0.4, 0.63, 0.9]
WEIGHTS = [1.0, 2.0, 0.5, 3.0, 1.0, 1.5, 1.0]


def column(numbers: list[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def by_the_book(
    steps: int, tau: float, delay: float, values: list[float], weights: list[float], updates: int
) -> tuple[float, float, list[tuple[float, float, float]]]:
    """The update equations of T2FSNN, written for one value after another."""
    total, losses = sum(weights), []
    smallest, below = values[0], 0.0  # `values` rise
    for value, weight in zip(values, weights, strict=True):
        smallest = value
        below += weight / total
        if below >= 0.02:
            break
    for _ in range(updates):
        least, most = math.exp(-(steps - delay) / tau), math.exp(delay / tau)
        precision = slope = fired = 0.0
        earliest = None
        for value, weight in zip(values, weights, strict=True):
            time = max(0, math.ceil(delay - tau * math.log(value) - 1e-9))
            spikes = time <= steps - 1
            decoded = math.exp(-(time - delay) / tau) if spikes else 0.0  # a silent value is read as 0
            precision += weight / total * (value - decoded) ** 2 / 2
            if spikes:
                slope += weight * (value - decoded) * decoded * (time - delay)
                fired += weight
                earliest = time if earliest is None else min(earliest, time)
        largest = max(values) if earliest is None else math.exp(-(earliest - delay) / tau)
        losses.append((precision, (smallest - least) ** 2 / 2, (largest - most) ** 2 / 2))
        d_tau = 10 * (slope / fired if fired else 0.0) / tau**2
        d_tau += 100 * (smallest - least) * least * (steps - delay) / tau**2
        delay += 1.0 * (largest - most) * most / tau
        tau += d_tau
    return tau, delay, losses


@pytest.mark.parametrize("updates", [1, 2, 10, 60])
@pytest.mark.parametrize(("steps", "tau", "delay"), [(80, 20.0, 0.0), (20, 5.0, 0.0), (20, 4.0, -2.5), (16, 6.0, 1.5)])
@pytest.mark.parametrize("scale", [1.0, 0.4])
def test_updates_are_those_of_the_equations(scale: float, steps: int, tau: float, delay: float, updates: int) -> None:
    values = [value * scale for value in VALUES]
    found = optimize_kernel(TTFS(steps, tau, delay), column(values), column(WEIGHTS), updates)
    expected_tau, expected_delay, losses = by_the_book(steps, tau, delay, values, WEIGHTS, updates)
    assert found.code.tau == pytest.approx(expected_tau, rel=1e-9)
    assert found.code.delay == pytest.approx(expected_delay, rel=1e-9, abs=1e-12)
    recorded = list(zip(found.precision, found.smallest, found.largest, strict=True))
    assert len(recorded) == updates
    for loss, expected in zip(recorded, losses, strict=True):
        assert loss == pytest.approx(expected, rel=1e-8, abs=1e-18)


def test_extremes_of_samples_take_the_place_of_those_of_all_values() -> None:
    code, extremes = TTFS(20, 5.0), Extremes(0.0, 0.7)
    found = optimize_kernel(code, column(VALUES), column(WEIGHTS), 1, extremes)
    least, most = math.exp(-20 / 5.0), 1.0
    precision = 5.0**2 * (optimize_kernel(code, column(VALUES), column(WEIGHTS), 1).code.tau - 5.0)  # type: ignore[operator]
    precision -= 100 * (VALUES[0] - least) * least * 20
    assert found.code.delay == pytest.approx((0.7 - most) * most / 5.0)
    assert found.code.tau == pytest.approx(5.0 + (precision + 100 * (0.0 - least) * least * 20) / 5.0**2)
    fitted = fit(TTFS(20, "sample-gradient"), column(VALUES), column(WEIGHTS), extremes)
    assert fitted == optimize_kernel(code, column(VALUES), column(WEIGHTS), extremes=extremes).code
    assert fitted != fit(TTFS(20, "gradient"), column(VALUES), column(WEIGHTS), extremes)


def test_values_may_come_in_any_order() -> None:
    order = [3, 0, 6, 2, 5, 1, 4]
    shuffled = optimize_kernel(TTFS(20, 5.0), column(VALUES)[order], column(WEIGHTS)[order], 20)
    expected = optimize_kernel(TTFS(20, 5.0), column(VALUES), column(WEIGHTS), 20)
    assert shuffled.code.tau == pytest.approx(expected.code.tau)  # type: ignore[arg-type]


def test_silent_values_enter_the_precision_loss_as_zero_and_move_nothing() -> None:
    # 1e-6 is below the smallest level and below the 2nd percentile; 0.5 fires.
    code, values, weights = TTFS(20, 5.0), column([1e-6, 0.5]), column([1e-3, 1.0])
    alone = optimize_kernel(code, values[1:], weights[1:], 1)
    both = optimize_kernel(code, values, weights, 1)
    assert both.code == alone.code
    share = 1e-3 / 1.001
    assert both.precision[0] == pytest.approx(alone.precision[0] * (1 - share) + share * 1e-12 / 2)


def test_a_layer_that_never_fires_moves_by_the_limits_of_its_values_alone() -> None:
    code = TTFS(20, 5.0)
    found = optimize_kernel(code, column([1e-4, 2e-4]), column([1.0, 1.0]), 1)
    assert found.largest[0] == pytest.approx((2e-4 - 1.0) ** 2 / 2)
    least = math.exp(-20 / 5)
    assert found.code.tau == pytest.approx(5 + 100 * (1e-4 - least) * least * 20 / 25)


def half_normal(scale: float) -> tuple[Tensor, Tensor]:
    values = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    return values * scale, torch.exp(-((values * 3.3) ** 2) / 2)


@pytest.mark.parametrize(("steps", "tau"), [(80, 20.0), (20, 5.0)])
@pytest.mark.parametrize("scale", [0.3, 0.6, 0.8])
def test_the_delay_turns_negative_where_activations_stay_below_one(scale: float, steps: int, tau: float) -> None:
    found = optimize_kernel(TTFS(steps, tau), *half_normal(scale))
    assert found.code.delay < -0.5
    assert found.largest[-1] < found.largest[0] / 1.5
    assert found.smallest[-1] < found.smallest[0]


def test_the_delay_stays_where_the_largest_activation_is_carried() -> None:
    found = optimize_kernel(TTFS(80, 20.0), *half_normal(1.0))
    values, weights = half_normal(1.0)
    full = optimize_kernel(TTFS(80, 20.0), torch.cat([values, column([1.0])]), torch.cat([weights, column([1.0])]))
    assert full.code.delay == 0.0
    assert -1.0 < found.code.delay < 0.0


@pytest.mark.parametrize("scale", [0.6, 0.8])
def test_eighty_steps_end_near_the_values_published_for_cifar(scale: float) -> None:
    # Published for hidden layers: tau 19.2 to 19.9 from 20, and delays from -1.5 to -4.6.
    found = optimize_kernel(TTFS(80, "gradient"), *half_normal(scale))
    assert isinstance(found.code.tau, float)
    assert 19.0 < found.code.tau < 20.0
    assert -4.6 < found.code.delay < -1.0


def test_fitting_by_gradient_is_this_optimisation_from_a_quarter_of_the_window() -> None:
    code, (values, weights) = TTFS(20, "gradient", -1.0), half_normal(0.6)
    fitted = fit(code, values, weights)
    assert fitted == optimize_kernel(code, values, weights).code
    expected = optimize_kernel(TTFS(20, 5.0, -1.0), values, weights).code
    assert fitted == expected and fitted != TTFS(20, 5.0, -1.0)


def test_it_does_not_change_the_rounding() -> None:
    found = optimize_kernel(TTFS(20, 5.0, rounding="geometric"), *half_normal(0.6), 3)
    assert found.code.rounding == "geometric"
    assert found.code.tau != optimize_kernel(TTFS(20, 5.0), *half_normal(0.6), 3).code.tau


def test_a_tau_driven_from_the_positive_numbers_is_an_error_that_says_where_to_start() -> None:
    with pytest.raises(ConfigurationError, match=r"drove tau to .*; start nearer to steps / 4"):
        optimize_kernel(TTFS(4, 3.0), column([1e-5, 2e-5]), column([1.0, 1.0]), 5)
