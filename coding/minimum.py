"""The least value of a function of one number, without derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable

_GOLDEN = (3.0 - math.sqrt(5.0)) / 2.0
#: Numbers that are nearer to each other than this, relative to their size, have values that differ by rounding only.
_INDISTINCT = math.sqrt(2.0**-52)


def least(function: Callable[[float], float], low: float, high: float, tolerance: float) -> tuple[float, float]:
    """Where ``function`` is least between ``low`` and ``high``, to about ``tolerance``, and its value there.

    A parabola through the three best numbers says where to look next; where it leads out of the interval or does not
    shrink it fast enough, a golden section (Brent 1973, chapter 5). What lies between several minima may be any.
    """
    best = second = third = low + _GOLDEN * (high - low)
    of_best = of_second = of_third = function(best)
    step = before = 0.0
    while True:
        middle = (low + high) / 2.0
        near = _INDISTINCT * abs(best) + tolerance / 3.0
        if abs(best - middle) <= 2.0 * near - (high - low) / 2.0:
            return best, of_best
        golden = True
        if abs(before) > near:
            one, two = (best - second) * (of_best - of_third), (best - third) * (of_best - of_second)
            above, below = (best - third) * two - (best - second) * one, 2.0 * (two - one)
            above, below = (-above, below) if below > 0.0 else (above, -below)
            before, last = step, before
            if abs(above) < abs(below * last / 2.0) and below * (low - best) < above < below * (high - best):
                golden, step = False, above / below
                if min(best + step - low, high - best - step) < 2.0 * near:
                    step = near if middle >= best else -near
        if golden:
            before = (low if best >= middle else high) - best
            step = _GOLDEN * before
        place = best + math.copysign(max(abs(step), near), step)
        value = function(place)
        if value <= of_best:
            low, high = (best, high) if place >= best else (low, best)
            third, of_third, second, of_second, best, of_best = second, of_second, best, of_best, place, value
            continue
        low, high = (place, high) if place < best else (low, place)
        if value <= of_second or second == best:
            third, of_third, second, of_second = second, of_second, place, value
        elif value <= of_third or third in (best, second):
            third, of_third = place, value
