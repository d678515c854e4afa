"""The cheapest choice within a budget is that of a search through all."""

from __future__ import annotations

import itertools
import random

import pytest

from snnconv.tuning.allocation import least_cost


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("seed", range(6))
def test_no_choice_within_the_budget_costs_less(seed: int, size: int) -> None:
    """What a budget has beyond the least is counted in 4,096 parts at most, of which every option may waste one."""
    draw = random.Random(seed)
    parts = [{option: (size * draw.randint(1, 60), draw.random()) for option in range(4)} for _ in range(5)]
    parts[0][3] = 0, 5.0  # it takes nothing
    budget = sum(min(taken for taken, _ in part.values()) for part in parts) + size * draw.randint(0, 150)

    def sums(chosen: list[int] | tuple[int, ...]) -> tuple[float, float]:
        taken, cost = zip(*(part[option] for part, option in zip(parts, chosen, strict=True)), strict=True)
        return sum(taken), sum(cost)

    spent, cost = sums(least_cost(parts, budget))
    least = budget if size == 1 else budget - 6 * (-(-budget // 2**12))
    payable = [sums(each) for each in itertools.product(range(4), repeat=5)]
    assert spent <= budget
    assert cost <= min(other for taken, other in payable if taken <= least) + 1e-12


@pytest.mark.parametrize("size", [5001, 10**9])
def test_a_budget_of_the_least_of_every_part_suffices_however_large_it_is(size: int) -> None:
    parts = [{bits: (bits * weights, 1.0 / bits) for bits in (2, 4, 8)} for weights in (size, 3 * size + 1, 7)]
    assert least_cost(parts, 2 * (4 * size + 8)) == [2, 2, 2]
    assert least_cost(parts, 2 * (4 * size + 8) + 6 * 7) == [2, 2, 8]
