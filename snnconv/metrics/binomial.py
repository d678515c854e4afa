"""How far a share of decisions may be from that of more data."""

from __future__ import annotations

import math

#: Standard deviations of a normal distribution on both sides of its mean that hold 95 % of it.
_TWO_SIDED_95 = 1.959964


def binomial_interval(percent: float, count: int) -> tuple[float, float]:
    """The 95 % interval, in percent, of ``percent`` of ``count`` independent decisions (Wilson 1927).

    It lies within 0 and 100, also where all decisions are right.
    """
    share, square = percent / 100.0, _TWO_SIDED_95**2
    centre = (share + square / (2 * count)) / (1.0 + square / count)
    half = math.sqrt(share * (1.0 - share) / count + square / (4 * count**2)) * _TWO_SIDED_95 / (1.0 + square / count)
    return 100.0 * max(centre - half, 0.0), 100.0 * min(centre + half, 1.0)
