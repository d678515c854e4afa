"""How far a quantised value is from the value: the errors that base, limit and rounding leave."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import pytest
import torch
from torch import Tensor

from coding import TTFS, FewSpike, OneSpike
from coding.window.rounding import Rounding
from coding.window.window_code import WindowCode

BASES = [1.1, 1.3, 1.5, 2.0, 3.0]
#: From this base on, `k` later spikes cannot carry more than the payload before them: the root of sum b^-i = 1.
NO_OVERLAP = {2: (1 + math.sqrt(5)) / 2, 3: 1.8392867552141612, 4: 1.9275619754829254}


def representable(code: WindowCode) -> Tensor:
    """All sums of at most the limit of payloads, from the smallest."""
    payloads, limit = code.table().payloads, code.limit or code.steps
    sums = {math.fsum(chosen) for count in range(limit + 1) for chosen in combinations(payloads, count)}
    return torch.tensor(sorted(sums), dtype=torch.float64)


def distance(values: Tensor, levels: Tensor) -> Tensor:
    above = torch.searchsorted(levels, values).clamp(1, len(levels) - 1)
    return torch.minimum((values - levels[above]).abs(), (values - levels[above - 1]).abs())


def grid(largest: float, count: int = 20001) -> Tensor:
    return torch.linspace(0.0, largest, count, dtype=torch.float64)


def excess(code: WindowCode) -> Tensor:
    """How much farther than to the nearest representable value a value is moved."""
    values = grid(code.maximum * 1.2)
    error = (code.quantize(values, counted=False).values - values).abs()
    return error - distance(values, representable(code))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("steps", [1, 4, 12, 24])
def test_lookahead_with_one_spike_finds_the_nearest_of_levels_and_zero(steps: int, base: float) -> None:
    tau = 1 / math.log(base)
    for code in (FewSpike(steps, base, 1), OneSpike(steps, base, "lookahead"), TTFS(steps, tau, 0.3, "lookahead")):
        assert float(excess(code).max()) <= 1e-12


@pytest.mark.parametrize("steps", [4, 6, 8])
@pytest.mark.parametrize("spikes", [2, 3, 4])
@pytest.mark.parametrize("above", [1.0 + 1e-9, 1.05, 1.5])
def test_lookahead_finds_the_nearest_representable_value_where_later_spikes_never_outweigh_an_earlier(
    above: float, spikes: int, steps: int
) -> None:
    assert float(excess(FewSpike(steps, NO_OVERLAP[spikes] * above, spikes)).max()) <= 1e-12


@pytest.mark.parametrize("spikes", range(1, 9))
@pytest.mark.parametrize("base", [2.0, 2.5])
def test_lookahead_from_base_two_on_finds_the_nearest_whatever_the_limit(base: float, spikes: int) -> None:
    assert float(excess(FewSpike(8, base, spikes)).max()) <= 1e-12


@pytest.mark.parametrize("spikes", [2, 3])
def test_below_that_base_lookahead_misses_the_nearest_for_some_values(spikes: int) -> None:
    assert float(excess(FewSpike(8, NO_OVERLAP[spikes] * 0.93, spikes)).max()) > 1e-3


@pytest.mark.parametrize("base", [1.1, 1.2, 1.43, 1.7, 2.0, 3.0])
@pytest.mark.parametrize("spikes", [1, 2, 3, 10])
def test_lookahead_is_never_off_by_more_than_a_single_spike_could_be(spikes: int, base: float) -> None:
    # Half the gap between two levels above the smallest, half the smallest below it.
    code, values = FewSpike(10, base, spikes), grid(1.0)
    error = (code.quantize(values).values - values).abs()
    allowed = torch.maximum(values * (base - 1) / (base + 1), torch.tensor(code.table().payloads[-1] / 2))
    assert bool((error <= allowed + 1e-12).all())


@pytest.mark.parametrize("steps", [8, 12])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    ("rounding", "worst"),
    [
        ("floor", lambda b: 1 - 1 / b),
        ("arithmetic", lambda b: (b - 1) / (b + 1)),
        ("geometric", lambda b: math.sqrt(b) - 1),
        ("lookahead", lambda b: (b - 1) / (b + 1)),
    ],
)
def test_the_worst_relative_error_of_one_spike_is_that_of_its_rounding(
    rounding: Rounding, worst: object, base: float, steps: int
) -> None:
    assert callable(worst)
    code = OneSpike(steps, base, rounding)
    values = torch.logspace(math.log10(code.table().payloads[-1]), 0, 40001, dtype=torch.float64)
    error = (code.quantize(values).values - values).abs() / values
    assert float(error.max()) == pytest.approx(worst(base), rel=2e-3)
    assert float(error.max()) <= worst(base) + 1e-9


@pytest.mark.parametrize("base", BASES)
def test_flooring_never_rounds_up_and_the_others_do(base: float) -> None:
    values = grid(1.0)
    assert bool((OneSpike(12, base, "floor").quantize(values).values <= values + 1e-12).all())
    for rounding in ("arithmetic", "geometric", "lookahead"):
        assert bool((OneSpike(12, base, rounding).quantize(values).values > values + 1e-6).any())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rounding", "lowest"),
    [
        ("floor", lambda b: 1.0),
        ("arithmetic", lambda b: (1 + 1 / b) / 2),
        ("geometric", lambda b: b**-0.5),
        ("lookahead", lambda b: 0.5),
    ],
)
@pytest.mark.parametrize("base", BASES)
def test_the_smallest_value_that_fires_is_where_the_rounding_puts_the_last_threshold(
    base: float, rounding: Rounding, lowest: object
) -> None:
    assert callable(lowest)
    threshold = base**-7 * lowest(base)
    fired = OneSpike(8, base, rounding).quantize(torch.tensor([threshold * 0.999, threshold], dtype=torch.float64))
    assert fired.spikes is not None and fired.spikes.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("tau", [5.0, 10.0, 20.0, 40.0])
def test_levels_of_an_exponential_kernel_are_one_relative_step_apart(tau: float) -> None:
    payloads = TTFS(80, tau).table().payloads
    steps = [1 - later / earlier for earlier, later in pairwise(payloads)]
    assert steps == pytest.approx([1 - math.exp(-1 / tau)] * 79)


def mean_square_errors(base: float) -> list[float]:
    """Over values that are even in [0, 1], for one, two and three spikes."""
    values = grid(1.0)
    codes = [FewSpike(10, base, spikes) for spikes in (1, 2, 3)]
    return [float((code.quantize(values).values - values).square().mean()) for code in codes]


@pytest.mark.parametrize("base", [1.7, 2.0])
def test_a_second_and_a_third_spike_lower_the_error(base: float) -> None:
    one, two, three = mean_square_errors(base)
    assert one > 2 * two and two > 1.2 * three


def test_to_a_base_near_one_a_second_spike_raises_the_error() -> None:
    # Payloads of nearly one size leave a hole between zero and the smallest that only sums of two could fill.
    one, two, _ = mean_square_errors(1.2)
    assert two > 1.5 * one
