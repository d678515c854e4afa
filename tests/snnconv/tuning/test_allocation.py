"""The cheapest choice within a budget is that of a search through all."""

from __future__ import annotations

import itertools
import random

import pytest

from snnconv.tuning.allocation import least_cost


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("seed", range(6))
def test_no_choice_within_the_budget_costs_less(seed: int, size: int) -> None:
    """Beyond 4,096 the budget is counted in parts of it, of which every option may waste one."""
    draw = random.Random(seed)
    parts = [{option: (size * draw.randint(1, 60), draw.random()) for option in range(4)} for _ in range(5)]
    parts[0][3] = 0, 5.0  # it takes nothing
    budget = sum(min(taken for taken, _ in part.values()) for part in parts) + size * draw.randint(0, 150)
    budget += 5 * (-(-budget // 2**12)) if size > 1 else 0

    def sums(chosen: list[int] | tuple[int, ...]) -> tuple[float, float]:
        taken, cost = zip(*(part[option] for part, option in zip(parts, chosen, strict=True)), strict=True)
        return sum(taken), sum(cost)

    spent, cost = sums(least_cost(parts, budget))
    least = budget if size == 1 else budget - 6 * (-(-budget // 2**12))
    payable = [sums(each) for each in itertools.product(range(4), repeat=5)]
    assert spent <= budget
    assert cost <= min(other for taken, other in payable if taken <= least) + 1e-12
