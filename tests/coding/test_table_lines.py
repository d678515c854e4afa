"""Lines through the cells of a table: what a second spike adds to the first."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from coding import Burst, Code, ConfigurationError, FewSpike, FunctionTable, OneSpike, Phase, Rate, TableSpike
from coding.table_fitting import fit_tables
from coding.table_lines import fit_lines
from coding.window.function_table import table_for

EDGES = torch.linspace(-8.0, 8.0, 513, dtype=torch.float64)[None]
MIDDLES = (EDGES[:, 1:] + EDGES[:, :-1]) / 2
EVEN = torch.ones_like(MIDDLES)


def reproduced(values: Tensor, weights: Tensor, cells: int, places: int) -> Tensor:
    """What a table makes of the middles of all bins, by its definition."""
    thresholds, payloads = fit_tables(values, weights, EDGES, cells, places=places)
    lines = fit_lines(values, weights, EDGES, thresholds, payloads, places)
    found = torch.zeros_like(MIDDLES)
    for cell in reversed(range(cells)):  # later cells first, so that earlier ones are taken where both are reached
        reached = thresholds[0, cell] <= MIDDLES
        level = ((MIDDLES - lines.origins[0, cell]) * lines.rates[0, cell]).floor().clamp(0, places - 1)
        found = torch.where(reached, lines.payloads[0, cell] + level * lines.slopes[0, cell], found)
    return found


def rms(values: Tensor, weights: Tensor, cells: int, places: int) -> float:
    difference = (reproduced(values, weights, cells, places) - values).square()
    return math.sqrt(float((weights * difference).sum() / weights.sum()))


def test_a_straight_line_is_off_by_the_rounding_to_places_alone() -> None:
    step = 16.0 / (8 * 8)
    assert rms(MIDDLES, EVEN, 8, 8) == pytest.approx(step / math.sqrt(12), rel=0.1)


@pytest.mark.parametrize("function", ["silu", "gelu", "softplus", "tanh", "sigmoid", "square"])
def test_two_spikes_are_far_nearer_than_the_best_table_of_as_many_steps(function: str) -> None:
    values: Tensor = {"square": torch.square, "tanh": torch.tanh, "sigmoid": torch.sigmoid}.get(
        function, getattr(torch.nn.functional, function, torch.tanh)
    )(MIDDLES)
    normal = torch.exp(-MIDDLES.square() / 4)
    for weights in (EVEN, normal):
        assert rms(values, weights, 16, 16) < rms(values, weights, 31, 1) / 3


def test_one_place_is_the_table_itself() -> None:
    values = torch.nn.functional.silu(MIDDLES)
    thresholds, payloads = fit_tables(values, EVEN, EDGES, 12)
    lines = fit_lines(values, EVEN, EDGES, thresholds, payloads, 1)
    assert torch.equal(lines.payloads, payloads) and not lines.slopes.any()


TABLES: list[tuple[Code, FunctionTable]] = [
    (OneSpike(16), FunctionTable(16)),
    (TableSpike(12), FunctionTable(12)),
    (FunctionTable(9, 2), FunctionTable(9, 2)),
    (FewSpike(6, spikes=3), FunctionTable(13, 2)),
    (FewSpike(8, spikes=3), FunctionTable(19, 2)),
    (FewSpike(12, spikes=4), FunctionTable(31, 2)),
    (Phase(8), FunctionTable(31, 2)),
    (Rate(16), FunctionTable(7, 2)),
    (Burst(8), FunctionTable(31, 2)),
    (Rate(1), FunctionTable(2, 2)),
]


@pytest.mark.parametrize(("asked", "table"), TABLES, ids=[str(asked) for asked, _ in TABLES])
def test_a_table_is_as_fine_as_the_code_that_was_asked_for(asked: Code, table: FunctionTable) -> None:
    assert table_for(asked) == table


@pytest.mark.parametrize("spikes", [0, 3, 1.5])
def test_a_table_has_one_spike_or_two(spikes: int) -> None:
    with pytest.raises(ConfigurationError, match="spikes must be 1 or 2"):
        FunctionTable(8, spikes)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no more than the 1 steps"):
        FunctionTable(1, 2)
