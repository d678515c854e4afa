"""How window codes round: the thresholds that belong to payloads."""

from __future__ import annotations

import math
from typing import Literal

from coding.errors import ConfigurationError
from coding.window.window_code import WindowCode

Rounding = Literal["floor", "arithmetic", "geometric", "lookahead"]


ROUNDINGS = ("floor", "arithmetic", "geometric", "lookahead")


def thresholds_of(payloads: tuple[float, ...], limit: int, rounding: Rounding) -> tuple[tuple[float, ...], ...]:
    """Thresholds by spikes already fired and by step; one row where the limit cannot bind.

    Levels are taken to go on geometrically behind the last step, except by "lookahead", for which nothing follows.
    """
    steps = len(payloads)
    ratio = payloads[1] / payloads[0] if steps > 1 else 0.5
    following = (*payloads[1:], payloads[-1] * ratio)
    rows = []
    for left in range(min(limit, steps), 0, -1):
        if rounding == "floor":
            rows.append(payloads)
        elif rounding == "lookahead":
            # What `left` later spikes could carry at most, cut at this payload: values in between go to the nearer.
            later = [math.fsum(payloads[t + 1 : t + 1 + left]) for t in range(steps)]
            rows.append(tuple((own + min(own, best)) / 2 for own, best in zip(payloads, later, strict=True)))
        else:
            middle = [_middle(own, after, rounding) for own, after in zip(payloads, following, strict=True)]
            last = [left == 1 or t == steps - 1 for t in range(steps)]
            rows.append(tuple(m if is_last else p for m, is_last, p in zip(middle, last, payloads, strict=True)))
        if limit >= steps:
            break  # every later row could only be reached after the last step
    return tuple(rows)


def _middle(upper: float, lower: float, rounding: Rounding) -> float:
    return math.sqrt(upper * lower) if rounding == "geometric" else (upper + lower) / 2


def check_rounding(code: WindowCode) -> None:
    """Raise ``ConfigurationError`` for a rounding that does not exist."""
    if getattr(code, "rounding") not in ROUNDINGS:  # noqa: B009 - only some window codes round
        raise ConfigurationError(
            f"{type(code).__name__}: rounding must be one of {', '.join(ROUNDINGS)}, got {code.rounding!r}"  # type: ignore[attr-defined]
        )
