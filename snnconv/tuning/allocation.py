"""One option for each of several parts, so that all together cost least within a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: Units that a budget is counted in at most.
_MOST_UNITS = 2**12


def least_cost(parts: Sequence[Mapping[int, tuple[int, float]]], budget: int) -> list[int]:
    """An option for each of ``parts``, which say for every option what it takes of the ``budget`` and what it costs.

    No other choice within the budget costs less, where that is at most 4,096; what options take of a larger one is
    rounded up to as many parts of it. Some choice must be within it.
    """
    unit = -(-budget // _MOST_UNITS) or 1
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
    for part in parts:
        longer: dict[int, tuple[float, list[int]]] = {}
        for total, (cost, chosen) in best.items():
            for option, (taken, added) in part.items():
                spent, found = total + -(-taken // unit), cost + added
                if spent <= budget // unit and (spent not in longer or found < longer[spent][0]):
                    longer[spent] = found, [*chosen, option]
        best = longer
    return min(best.values())[1]
