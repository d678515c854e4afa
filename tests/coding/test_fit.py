"""Code parameters from data. Distributions are fine histograms, so that no result depends on a sample."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from coding import TTFS, Burst, Code, ConfigurationError, FewSpike, OneSpike, Phase, Rate
from coding.fit import fit, squared_error
from coding.window.rounding import Rounding
from coding.window.window_code import WindowCode

#: 99.9 % of the activations of a half-normal and of an exponential distribution lie below these many scales.
HALF_NORMAL_QUANTILE, EXPONENTIAL_QUANTILE = 3.2905267, 6.9077553


def clipped(density: Tensor, values: Tensor, beyond: float) -> tuple[Tensor, Tensor]:
    """The values and their weights, with all that lies beyond 1 at 1."""
    weights = density / density.sum() * (1 - beyond)
    return torch.cat([values, values.new_ones(1)]), torch.cat([weights, weights.new_tensor([beyond])])


def half_normal(quantile: float = HALF_NORMAL_QUANTILE) -> tuple[Tensor, Tensor]:
    values = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    return clipped(torch.exp(-((values * quantile) ** 2) / 2), values, math.erfc(quantile / math.sqrt(2)))


def exponential() -> tuple[Tensor, Tensor]:
    values = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    return clipped(torch.exp(-values * EXPONENTIAL_QUANTILE), values, math.exp(-EXPONENTIAL_QUANTILE))


def relative_rmse(code: Code, values: Tensor, weights: Tensor) -> float:
    return math.sqrt(squared_error(code, values, weights))


# Activations of which 99.9 % lie below 1, the others clipped to it, reproduce the table of the shifted threshold:
# half-normal to the base's second digit and the error's third, give or take one; exponential errors are 1 % lower.
@pytest.mark.parametrize(
    ("steps", "base", "error"),
    [
        (4, 1.93, 0.212), (6, 1.59, 0.149), (8, 1.44, 0.116), (10, 1.35, 0.096), (12, 1.30, 0.082),
        (16, 1.23, 0.065), (20, 1.18, 0.053), (24, 1.16, 0.046), (32, 1.12, 0.036), (40, 1.10, 0.029),
    ],
)  # fmt: skip
def test_best_bases_for_half_normal_activations_are_those_tabulated(steps: int, base: float, error: float) -> None:
    fitted = fit(OneSpike(steps, rounding="arithmetic"), *half_normal())
    assert isinstance(fitted, OneSpike)
    assert fitted.base == pytest.approx(base, abs=0.006)
    assert relative_rmse(fitted, *half_normal()) == pytest.approx(error, abs=0.00075)


@pytest.mark.parametrize(
    ("steps", "base", "error"),
    [
        (4, 2.19, 0.247), (6, 1.73, 0.172), (8, 1.53, 0.134), (10, 1.43, 0.110), (12, 1.35, 0.094),
        (16, 1.27, 0.074), (20, 1.22, 0.061), (24, 1.18, 0.052), (32, 1.14, 0.040), (40, 1.11, 0.033),
    ],
)  # fmt: skip
def test_best_bases_for_exponential_activations_are_those_tabulated(steps: int, base: float, error: float) -> None:
    fitted = fit(OneSpike(steps, rounding="arithmetic"), *exponential())
    assert isinstance(fitted, OneSpike)
    assert fitted.base == pytest.approx(base, abs=0.025 if steps == 4 else 0.008)
    assert relative_rmse(fitted, *exponential()) == pytest.approx(error, rel=0.014)


@pytest.mark.parametrize(("rounding", "error"), [("floor", 0.313), ("arithmetic", 0.196)])
@pytest.mark.parametrize("steps", [8, 12, 24])
def test_the_shifted_threshold_lowers_the_error_to_base_two_as_tabulated(
    steps: int, rounding: Rounding, error: float
) -> None:
    assert relative_rmse(OneSpike(steps, 2.0, rounding), *half_normal()) == pytest.approx(error, abs=0.00075)


@pytest.mark.parametrize(
    ("tau", "steps", "error", "firing"),
    [(20.0, 80, 0.0295, 0.95), (10.0, 80, 0.055, 1.0), (5.0, 20, 0.108, 0.95)],
)
def test_errors_of_exponential_kernels_are_those_tabulated(tau: float, steps: int, error: float, firing: float) -> None:
    values, weights = half_normal(3.0)
    spikes = TTFS(steps, tau).quantize(values).spikes
    assert spikes is not None
    assert relative_rmse(TTFS(steps, tau), values, weights) == pytest.approx(error, rel=0.025)
    assert float((weights * spikes).sum()) == pytest.approx(firing, abs=0.006)


@pytest.mark.parametrize("steps", [20, 40, 80, 160])
def test_the_best_tau_is_near_a_quarter_of_the_window_and_nearer_for_long_windows(steps: int) -> None:
    values, weights = half_normal(3.0)
    fitted = fit(TTFS(steps, "fit"), values, weights)
    assert isinstance(fitted, TTFS) and isinstance(fitted.tau, float)
    assert 0.24 < fitted.tau / steps < {20: 0.35, 40: 0.31, 80: 0.28, 160: 0.26}[steps]
    quarter = relative_rmse(TTFS(steps, steps / 4), values, weights)
    assert 1.0 <= quarter / relative_rmse(fitted, values, weights) < {20: 1.22, 40: 1.12, 80: 1.04, 160: 1.02}[steps]


FITTED: list[WindowCode] = [
    OneSpike(4),
    OneSpike(24),
    OneSpike(8, rounding="floor"),
    FewSpike(8),
    FewSpike(8, spikes=2),
    FewSpike(12, rounding="arithmetic"),
    Phase(8, "fit"),
    TTFS(20, "fit"),
    TTFS(80, "fit", rounding="geometric"),
]


def base_of(code: Code) -> float:
    assert isinstance(code, WindowCode)
    payloads = code.table().payloads
    return payloads[0] / payloads[1]


@pytest.mark.parametrize("distribution", [half_normal, exponential])
@pytest.mark.parametrize("code", FITTED, ids=str)
def test_no_other_base_does_better(code: WindowCode, distribution: type) -> None:
    values, weights = distribution()
    fitted = fit(code, values, weights)
    least = squared_error(fitted, values, weights)
    others = [1.02 + 0.02 * number for number in range(149)]
    others += [1 + (base_of(fitted) - 1) * factor for factor in (0.95, 0.98, 0.995, 1.005, 1.02, 1.05)]
    errors = {base: squared_error(code.with_base(base), values, weights) for base in others}
    assert least <= min(errors.values()) * 1.02
    assert least < errors[1.02] and least < errors[max(errors)]


@pytest.mark.parametrize("code", FITTED, ids=str)
def test_what_is_not_fitted_stays_as_it_was(code: WindowCode) -> None:
    fitted = fit(code, *half_normal())
    assert type(fitted) is type(code)
    assert fitted.free_parameter is None
    for field in ("steps", "spikes", "rounding", "delay"):
        assert getattr(fitted, field, None) == getattr(code, field, None)


@pytest.mark.parametrize(
    "code", [Rate(8), Burst(8), Phase(8), OneSpike(8, 1.4), TTFS(20, 5.0), FewSpike(8, 1.7)], ids=str
)
def test_a_code_of_numbers_is_returned_unchanged(code: Code) -> None:
    assert fit(code, *half_normal()) is code


@pytest.mark.parametrize("code", [OneSpike(6), OneSpike(24), FewSpike(8, spikes=3), FewSpike(12, spikes=6)], ids=str)
def test_a_base_that_is_not_refined_is_next_to_the_best(code: WindowCode) -> None:
    coarse, best = (base_of(fit(code, *half_normal(), refined=refined)) for refined in (False, True))
    assert coarse == pytest.approx(best, rel=0.02) and coarse != best


@pytest.mark.parametrize("spikes", [1, 2, 4, 8])
def test_the_best_base_rises_with_the_spikes_allowed_towards_two(spikes: int) -> None:
    fitted = [fit(FewSpike(8, spikes=count), *half_normal()) for count in (spikes, min(spikes * 2, 8))]
    assert base_of(fitted[0]) <= base_of(fitted[1]) <= 2.01
    errors = [relative_rmse(code, *half_normal()) for code in fitted]
    assert errors[0] >= errors[1]


def test_with_a_spike_at_every_step_the_best_base_is_two() -> None:
    assert base_of(fit(Phase(8, "fit"), *half_normal())) == pytest.approx(2.0, abs=0.01)
    assert base_of(fit(FewSpike(8, spikes=8), *half_normal())) == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(
    "code", [OneSpike(8, 1.44), FewSpike(6, 1.7, 2), Phase(5), TTFS(20, 4.0, -2.0), Rate(10)], ids=str
)
def test_the_squared_error_is_relative_and_weighted_in_units_of_the_maximum(code: Code) -> None:
    values = [0.0, 0.03, 0.2, 0.5, 0.77, 1.0]
    weights = [5.0, 3.0, 0.0, 2.0, 1.5, 0.25]
    error = size = 0.0
    for value, weight in zip(values, weights, strict=True):
        carried = value * code.maximum
        train = code.encode(torch.tensor([carried], dtype=torch.float64))
        error += weight * (float(code.decode(train)) - carried) ** 2
        size += weight * carried**2
    arguments = torch.tensor([values, weights], dtype=torch.float64)
    assert squared_error(code, *arguments) == pytest.approx(error / size, rel=1e-12)


@pytest.mark.parametrize("factor", [0.01, 1.0, 300.0])
def test_only_the_proportions_of_weights_count_and_their_shape_does_not(factor: float) -> None:
    values, weights = half_normal()
    expected = fit(OneSpike(8), values, weights)
    assert base_of(fit(OneSpike(8), values[:2000].view(40, 50), weights[:2000].view(40, 50) * factor)) == pytest.approx(
        base_of(expected), rel=0.01
    )
    assert base_of(fit(OneSpike(8), values, weights * factor)) == pytest.approx(base_of(expected), rel=1e-6)


def test_zeros_negative_values_and_weightless_values_do_not_count() -> None:
    values, weights = half_normal()
    padded = torch.cat([values, torch.tensor([0.0, -0.7, 0.9], dtype=torch.float64)])
    weighted = torch.cat([weights, torch.tensor([9.0, 9.0, 0.0], dtype=torch.float64)])
    assert fit(OneSpike(8), padded, weighted) == fit(OneSpike(8), values, weights)


@pytest.mark.parametrize("code", [OneSpike(8), TTFS(8, "gradient")], ids=str)
@pytest.mark.parametrize("values", [torch.zeros(5), -torch.ones(5), torch.empty(0)])
def test_there_must_be_something_to_fit_to(values: Tensor, code: WindowCode) -> None:
    with pytest.raises(ConfigurationError, match="no positive value to fit"):
        fit(code, values, torch.ones_like(values))
