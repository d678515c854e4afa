"""What the axes of a signal of a sequence are: new positions, all positions, the batch, any other.

NEW positions are those that a step is given, ALL positions those before them too. A view may join axes to one, as rows
of all samples are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

BATCH, NEW, ALL, OTHER = "batch", "new", "all", "other"
#: What every axis of a signal is; one that was joined of several has their names and sizes.
Axes = tuple[str, ...]


def is_joined(axis: str) -> bool:
    """Whether an axis was joined of several."""
    return "+" in axis


def kinds(axes: Axes) -> set[str]:
    """What the axes are, those that were joined one by one."""
    return {kind for axis in axes for kind, _ in _factors(axis, 1)}


def viewed(axes: Axes, before: Sequence[int], after: Sequence[int]) -> Axes | None:
    """The axes of a view of shape ``after`` of a signal of shape ``before``; ``None`` where positions are cut up."""
    factors = [
        factor for axis, size in zip(axes, before, strict=True) for factor in _factors(axis, size) if factor[1] > 1
    ]
    found = []
    for wanted in after:
        taken: list[tuple[str, int]] = []
        left = wanted
        while left > 1:
            axis, size = factors.pop(0) if factors else (OTHER, 1)
            part = math.gcd(size, left) if axis == OTHER else size
            if part == 1 or left % part or part not in (size, left):
                return None
            if part < size:
                factors.insert(0, (OTHER, size // part))
            taken.append((axis, part))
            left //= part
        found.append(_axis_of(taken))
    return tuple(found)


def _axis_of(factors: Sequence[tuple[str, int]]) -> str:
    """The axis that a view makes of axes, from the outer to the inner one."""
    names = [kind for kind, _ in factors]
    if all(kind == OTHER for kind in names) or len(names) == 1:
        return names[0] if names else OTHER
    return "+".join(f"{kind} {size}" for kind, size in factors)


def _factors(axis: str, size: int) -> list[tuple[str, int]]:
    """The axes that were joined in ``axis``, from the outer to the inner one, with their sizes."""
    if not is_joined(axis):
        return [(axis, size)]
    return [(kind, int(number)) for kind, number in (factor.split() for factor in axis.split("+"))]
