"""One spike per window worth a level of a table: optimal levels, and the firing rule of every window code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coding import Code, ConfigurationError, OneSpike, TableSpike
from coding.fit import fit, squared_error


def exponential(count: int = 4000) -> tuple[Tensor, Tensor]:
    quantiles = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    values = -torch.log1p(-quantiles) / 6.9
    return values.clamp(max=1.0), torch.ones_like(values)


@pytest.mark.parametrize("steps", [1, 2, 5, 12])
def test_fitted_levels_are_the_means_of_the_values_that_round_to_them(steps: int) -> None:
    values, weights = exponential()
    code = fit(TableSpike(steps), values, weights)
    assert isinstance(code, TableSpike)
    # Levels are given relative to the largest, which is the scale of the population that uses them.
    candidates = torch.linspace(0.2, 1.1, 3601, dtype=torch.float64)
    errors = [float((code.quantize(values / c).values * c - values).square().sum()) for c in candidates]
    best = float(candidates[torch.tensor(errors).argmin()])
    found = code.quantize(values / best).values
    for level in code.levels:
        inside = found == level
        assert bool(inside.any())
        assert float(values[inside].mean()) == pytest.approx(level * best, rel=0.03, abs=2e-3)


@pytest.mark.parametrize("steps", [4, 8, 16])
def test_free_levels_err_less_than_powers_of_the_best_base(steps: int) -> None:
    values, weights = exponential()
    free, powers = fit(TableSpike(steps), values, weights), fit(OneSpike(steps), values, weights)

    def least(code: Code) -> float:  # over the scale, which is fitted with the code
        return min(squared_error(code, values * gain, weights) for gain in torch.linspace(0.8, 1.6, 81).tolist())

    assert least(free) < 0.95 * least(powers)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_powers_as_a_table_are_one_spike_code(dtype: torch.dtype) -> None:
    powers = OneSpike(9, 1.4, rounding="lookahead")
    code = TableSpike(9, tuple(1.4**-t for t in range(9)))
    values = torch.linspace(-0.5, 1.5, 5001, dtype=dtype)
    for mine, theirs in zip(code.quantize(values), powers.quantize(values), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    torch.testing.assert_close(code.encode(values), powers.encode(values), rtol=0, atol=0)


def test_every_value_goes_to_its_nearest_level_or_to_none() -> None:
    code = TableSpike(4, (1.0, 0.7, 0.3, 0.05))
    values = torch.linspace(0, 1.2, 9973, dtype=torch.float64)
    levels = torch.tensor([0.0, 0.05, 0.3, 0.7, 1.0], dtype=torch.float64)
    nearest = levels[(values[:, None] - levels).abs().argmin(1)]
    torch.testing.assert_close(code.quantize(values).values, nearest, rtol=0, atol=0)


def test_fewer_distinct_values_than_steps_keep_every_value() -> None:
    values = torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64)
    code = fit(TableSpike(8), values, torch.ones_like(values))
    torch.testing.assert_close(code.quantize(values).values, values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "levels", [(1.0, 0.5), (1.0, 0.5, 0.5), (0.9, 0.5, 0.1), (1.0, 0.5, 0.0), (1.0, 0.2, 0.4), "auto"]
)
def test_levels_that_do_not_fall_from_one_are_refused(levels: object) -> None:
    with pytest.raises(ConfigurationError, match="levels must be"):
        TableSpike(3, levels)  # type: ignore[arg-type]


def test_an_unfitted_table_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="fitted by convert"):
        TableSpike(3).quantize(torch.ones(2))
