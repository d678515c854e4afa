"""One option for each of several parts, so that all together cost least within a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: Units at most that what a budget has beyond the least of all parts is counted in.
_MOST_UNITS = 2**12


def least_cost(parts: Sequence[Mapping[int, tuple[int, float]]], budget: int) -> list[int]:
    """An option for each of ``parts``, which say for every option what it takes of the ``budget`` and what it costs.

    No other choice within the budget costs less, where it is at most 4,096 beyond what all parts take at least; else
    what options take beyond the least of their part is rounded up to as many parts of that. Some choice must be within.
    """
    fewest = [min(taken for taken, _ in part.values()) for part in parts]
    left = budget - sum(fewest)
    unit = -(-left // _MOST_UNITS) or 1
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
    for part, least in zip(parts, fewest, strict=True):
        longer: dict[int, tuple[float, list[int]]] = {}
        for total, (cost, chosen) in best.items():
            for option, (taken, added) in part.items():
                spent, found = total + -(-(taken - least) // unit), cost + added
                if spent <= left // unit and (spent not in longer or found < longer[spent][0]):
                    longer[spent] = found, [*chosen, option]
        best = longer
    return min(best.values())[1]
