"""Tables against an independent optimal quantiser, and what they promise of thresholds, payloads and silence."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from coding import ConfigurationError
from coding.table_fitting import fit_tables

BINS, LEVELS = 400, (16, 24, 32)

FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], float, float]] = {
    "silu": (functional.silu, -8, 8),
    "gelu": (functional.gelu, -8, 8),
    "gelu tanh": (lambda v: functional.gelu(v, approximate="tanh"), -8, 8),
    "mish": (functional.mish, -8, 8),
    "hardswish": (functional.hardswish, -8, 8),
    "hardsigmoid": (functional.hardsigmoid, -8, 8),
    "sigmoid": (torch.sigmoid, -8, 8),
    "tanh": (torch.tanh, -8, 8),
    "softplus": (functional.softplus, -8, 8),
    "elu": (functional.elu, -8, 8),
    "selu": (functional.selu, -8, 8),
    "celu": (lambda v: functional.celu(v, 0.5), -8, 8),
    "square": (torch.square, -8, 8),
    "cube": (lambda v: v**3, -8, 8),
    "erf": (torch.erf, -8, 8),
    "sin": (torch.sin, -8, 8),
    "cos": (torch.cos, -8, 8),
    "exp": (torch.exp, -8, 0),
    "log": (torch.log, 1 / 8, 8),
    "rsqrt": (torch.rsqrt, 1 / 8, 8),
    "reciprocal": (torch.reciprocal, 1 / 8, 8),
    "sqrt": (torch.sqrt, 1 / 8, 8),
}
DENSITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "uniform": torch.ones_like,
    "gaussian": lambda place: torch.exp(-((place - 0.5) ** 2) * 32),
    "log-normal": lambda place: torch.exp(-((4 * place).log() ** 2) / 2) / place,
}


@cache
def histogram(name: str, density: str) -> tuple[Tensor, Tensor, Tensor]:
    """Values, weights and edges of one channel, in bins of one width, or of one ratio for the reciprocal."""
    function, low, high = FUNCTIONS[name]
    place = torch.linspace(0, 1, BINS + 1, dtype=torch.float64)
    edges = low * (high / low) ** place if name == "reciprocal" else low + (high - low) * place
    middles = (edges[1:] + edges[:-1]) / 2
    weights = DENSITIES[density]((middles - low) / (high - low)) * edges.diff()
    return function(middles)[None], weights[None], edges[None]


def mean_square(rest: Tensor, weights: Tensor) -> float:
    return float((rest.square() * weights).sum() / weights.sum())


def decoded(thresholds: Tensor, payloads: Tensor, currents: Tensor) -> Tensor:
    """What neurons of one channel say: the payload of the first step whose threshold is reached, else 0."""
    value, waiting = torch.zeros_like(currents), torch.ones_like(currents, dtype=torch.bool)
    for threshold, payload in zip(thresholds, payloads, strict=True):
        fires = waiting & (currents >= threshold)
        value, waiting = torch.where(fires, payload, value), waiting & ~fires
    return value


def optimal_squares(values: Tensor, weights: Tensor, most: int) -> list[float]:
    """Least mean square error of 1, 2, ... ``most`` levels, with silence below them or without."""
    weights = weights / weights.sum()
    ends = torch.arange(len(values) + 1)
    mass, first, second = (
        torch.cat([torch.zeros(1, dtype=torch.float64), part.cumsum(0)])
        for part in (weights, weights * values, weights * values**2)
    )
    across = [part[None, :] - part[:, None] for part in (mass, first, second)]
    cost = (across[2] - across[1] ** 2 / across[0]).clamp(min=0)
    cost = torch.where(ends[None, :] > ends[:, None], cost, torch.inf)
    rest, found = cost[:, -1], []
    for _ in range(most):
        found.append(min(float((second + rest).min()), float(rest[0])))
        rest = (cost + rest).min(1).values
    return found


def one_channel(*numbers: list[float]) -> tuple[Tensor, ...]:
    return tuple(torch.tensor([part], dtype=torch.float64) for part in numbers)


@pytest.mark.parametrize(
    ("name", "density"),
    [(name, "uniform") for name in FUNCTIONS]
    + [(name, density) for name in ("silu", "cos", "rsqrt") for density in ("gaussian", "log-normal")],
)
def test_the_error_is_within_5_percent_of_the_optimal_quantisers(name: str, density: str) -> None:
    values, weights, edges = histogram(name, density)
    best = optimal_squares(values[0], weights[0], max(LEVELS))
    currents = (edges[0, 1:] + edges[0, :-1]) / 2
    for levels in LEVELS:
        thresholds, payloads = fit_tables(values, weights, edges, levels)
        rest = values[0] - decoded(thresholds[0], payloads[0], currents)
        assert math.sqrt(mean_square(rest, weights[0]) / best[levels - 1]) <= 1.05, levels


@pytest.mark.parametrize("name", ["exp", "rsqrt", "reciprocal"])
def test_a_relative_error_is_that_of_the_optimal_quantiser_and_never_silent(name: str) -> None:
    values, weights, edges = histogram(name, "uniform")
    counts = weights / values**2
    best = optimal_squares(values[0], counts[0], 16)[-1] * float(counts.sum() / weights.sum())
    thresholds, payloads = fit_tables(values, weights, edges, 16, relative=True)
    found = decoded(thresholds[0], payloads[0], (edges[0, 1:] + edges[0, :-1]) / 2)
    error = mean_square(1 - found / values[0], weights[0])
    assert math.sqrt(error / best) <= 1.05
    assert thresholds[0, -1] == -torch.inf
    for payload in payloads[0]:
        cell = found == payload
        for nudge in (0.999, 1.001):
            assert mean_square(1 - torch.where(cell, nudge * found, found) / values[0], weights[0]) > error


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("name", ["silu", "cos", "reciprocal"])
def test_thresholds_fall_and_payloads_are_the_means_of_their_cells(name: str, density: str) -> None:
    values, weights, edges = histogram(name, density)
    thresholds, payloads = fit_tables(values, weights, edges, 24)
    assert (thresholds.diff() < 0).all()
    currents = (edges[0, 1:] + edges[0, :-1]) / 2
    above = torch.inf
    for threshold, payload in zip(thresholds[0], payloads[0], strict=True):
        cell = (currents >= threshold) & (currents < above)
        assert payload == pytest.approx(float((weights * values)[0, cell].sum() / weights[0, cell].sum()), rel=1e-12)
        above = threshold


def test_silence_takes_what_is_near_0_at_the_lower_end_and_nothing_else() -> None:
    thresholds, _ = fit_tables(*histogram("exp", "uniform"), 16)
    assert -8 < thresholds[0, -1] < -2
    thresholds, _ = fit_tables(*histogram("reciprocal", "uniform"), 16)
    assert thresholds[0, -1] == -torch.inf


@pytest.mark.parametrize(("rare", "silent"), [(1e-3, True), (1e-2, False)])
def test_silence_may_cost_a_hundredth_of_the_error(rare: float, silent: bool) -> None:
    # Silence: 36 rare + 2. A cell from 6 to 12: about 25 rare + 2.
    values, weights, edges = one_channel([6.0, 10.0, 12.0], [rare, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0])
    thresholds, payloads = fit_tables(values, weights, edges, 1)
    assert thresholds.tolist() == [[2.0 if silent else -math.inf]]
    assert payloads.item() == pytest.approx(11.0 if silent else (22 + 6 * rare) / (2 + rare))


def test_bins_without_currents_make_no_silence() -> None:
    values, weights, edges = one_channel([5.0, 5.0, 6.0, 7.0], [0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 2.0, 3.0, 4.0])
    thresholds, payloads = fit_tables(values, weights, edges, 2)
    assert thresholds.tolist() == [[3.0, -math.inf]]
    assert payloads.tolist() == [[7.0, 6.0]]


def test_a_cell_without_weight_is_worth_the_function_in_its_middle() -> None:
    values, weights, edges = one_channel([1.0, 2.0, 3.0, 50.0, 51.0, 52.0], [1, 1, 1, 0, 0, 0], [*range(1, 8)])
    thresholds, payloads = fit_tables(values, weights, edges, 4)
    assert thresholds.tolist() == [[4.0, 3.0, 2.0, -math.inf]]
    assert payloads.tolist() == [[51.0, 3.0, 2.0, 1.0]]


def test_a_channel_without_weight_is_fitted_to_currents_that_are_spread_evenly() -> None:
    values, weights, edges = histogram("reciprocal", "uniform")
    expected = fit_tables(values, weights, edges, 16)
    torch.testing.assert_close(fit_tables(values, torch.zeros_like(weights), edges, 16), expected, rtol=0, atol=0)


@pytest.mark.parametrize("levels", [1, 3, 4, 9])
@pytest.mark.parametrize("numbers", [[2.5], [0.0, 1.0, -1.0], [4.0, 4.0, 4.0]])
def test_fewer_different_values_than_levels_are_met_exactly(numbers: list[float], levels: int) -> None:
    values, weights, edges = one_channel(numbers, [1.0] * len(numbers), list(range(-1, len(numbers))))
    thresholds, payloads = fit_tables(values, weights, edges, levels)
    assert (thresholds.diff() < 0).all()
    assert (thresholds.float().diff() < 0).all()
    assert (payloads != 0).all()
    if levels >= len(set(numbers)):
        currents = torch.arange(len(numbers)).double() - 0.5
        torch.testing.assert_close(decoded(thresholds[0], payloads[0], currents), values[0], rtol=1e-12, atol=1e-12)
    if levels > len(numbers):
        assert thresholds[0, levels - len(numbers) - 1] > edges.max()


def test_a_function_that_is_0_is_silent_everywhere() -> None:
    edges = torch.linspace(-8, 0, 301)[None]
    zero = torch.zeros(1, 300)
    thresholds, payloads = fit_tables(zero, torch.ones(1, 300), edges, 8)
    assert (thresholds > 0).all() and (thresholds.diff() < 0).all()
    assert (payloads > 0).all() and (payloads < 1e-15).all()


def test_no_threshold_is_0_and_0_belongs_to_the_cell_above_it() -> None:
    edges = torch.linspace(-4, 4, 17)[None]
    step = torch.where(edges[:, :-1] >= 0, 3.0, -1.0)
    thresholds, payloads = fit_tables(step, torch.ones(1, 16), edges, 2)
    assert -0.1 < thresholds[0, 0] < -0.001
    assert payloads.tolist() == [[3.0, -1.0]]


def test_each_channel_has_a_table_of_its_own_however_many_there_are() -> None:
    slopes = torch.linspace(0.3, 3, 90, dtype=torch.float64)[:, None]
    edges = torch.linspace(-4, 6, 151, dtype=torch.float64) * slopes.flip(0)
    values = functional.silu(edges[:, :-1] * slopes)
    weights = torch.exp(-edges[:, 1:].square() / 9)
    together = fit_tables(values, weights, edges, 5)
    for channel in (0, 41, 89):
        alone = fit_tables(*(part[channel, None] for part in (values, weights, edges)), 5)
        torch.testing.assert_close(alone, tuple(part[channel, None] for part in together), rtol=1e-12, atol=0)


@pytest.mark.parametrize("factor", [-4.0, 2.0**-600, 2.0**600])
def test_a_function_many_times_as_large_has_payloads_many_times_as_large(factor: float) -> None:
    values, weights, edges = histogram("silu", "gaussian")
    thresholds, payloads = fit_tables(values, weights, edges, 16)
    found = fit_tables(values * factor, weights * 2.0**20, edges, 16)
    torch.testing.assert_close(found, (thresholds, payloads * factor), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("values", "weights", "edges", "levels", "relative", "message"),
    [
        ([1.0, math.inf], [1.0, 1.0], [0.0, 1.0, 2.0], 4, False, "finite .*inf in channel 1 at place 1"),
        ([math.nan, 1.0], [1.0, 1.0], [0.0, 1.0, 2.0], 4, False, "finite .*nan in channel 1 at place 0"),
        ([1.0, 2.0], [1.0, -1.0], [0.0, 1.0, 2.0], 4, False, "not negative, got -1.0 in channel 1"),
        ([1.0, 2.0], [1.0, math.nan], [0.0, 1.0, 2.0], 4, False, "weights .*nan in channel 1"),
        ([1.0, 2.0], [1.0, 1.0], [0.0, 1.0, 1.0], 4, False, "edges must rise, got 0.0 in channel 1"),
        ([1.0, 2.0], [1.0, 1.0], [0.0, 1.0, math.inf], 4, False, "edges must be finite, got inf in channel 1"),
        ([1.0, 0.0], [1.0, 1.0], [0.0, 1.0, 2.0], 4, True, "nowhere 0 .*0.0 in channel 1 at place 1"),
        ([1.0, 2.0], [1.0, 1.0], [0.0, 1.0, 2.0], 0, False, "levels must be at least 1, got 0"),
        ([1.0, 2.0], [1.0, 1.0], [0.0, 1.0], 4, False, r"\[channels, bins \+ 1\], got \[2, 2\], \[2, 2\] and \[2, 2\]"),
    ],
)  # fmt: skip
def test_what_has_no_table_is_refused_by_channel(
    values: list[float], weights: list[float], edges: list[float], levels: int, relative: bool, message: str
) -> None:
    good = [torch.ones(2), torch.ones(2), torch.arange(float(len(edges)))]
    wrong = [torch.tensor(part) for part in (values, weights, edges)]
    with pytest.raises(ConfigurationError, match=message):
        fit_tables(*(torch.stack(pair) for pair in zip(good, wrong, strict=True)), levels, relative)
