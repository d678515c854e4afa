"""The one comparison of the project: when a membrane potential reaches a threshold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

_TIE_TOLERANCE = {torch.float64: 2.0**-44, torch.float32: 2.0**-20, torch.bfloat16: 2.0**-6, torch.float16: 2.0**-9}
#: Most of the way from a threshold down to the next level that its slack takes.
_SHARE_OF_GAP = 0.25


def tie_tolerance(dtype: torch.dtype) -> float:
    """Slack of a threshold comparison in ``dtype``, relative to the largest number that is compared.

    Scales taken from a maximum put values exactly on thresholds, where rounding would decide whether a spike is
    fired. A slack wider than the rounding error and far narrower than a level makes all simulators fire the
    same spikes.
    """
    return _TIE_TOLERANCE[dtype]


def bounds(
    thresholds: Sequence[float], payloads: Sequence[float], largest: float, tolerance: float
) -> tuple[float, ...]:
    """The potentials from which on the ``thresholds`` of a window are reached, by step: a slack below them.

    The slack is ``tolerance`` times ``largest``, the largest value of the window: a potential carries the rounding
    error of the sum that it was, however small the threshold that what is left of it meets. It is no more than a
    quarter of the way down to the next of the ``payloads``, which fall with time, or to zero behind the last: so it
    never takes one level for another nor makes silence fire. Where that binds, levels lie within the rounding error.
    """
    return tuple(
        threshold - min(tolerance * largest, _SHARE_OF_GAP * gap)
        for threshold, gap in zip(thresholds, _gaps(thresholds, payloads), strict=True)
    )


def _gaps(thresholds: Sequence[float], payloads: Sequence[float]) -> Iterator[float]:
    """How far below each threshold the next later payload lies."""
    for step, threshold in enumerate(thresholds):
        yield threshold - next((later for later in payloads[step + 1 :] if later < threshold), 0.0)


def at_least(potential: Tensor, bound: float | Tensor, out: Tensor | None = None) -> Tensor:
    """1 where ``potential >= bound``, else 0, in the dtype of ``potential``; any shape.

    ``out`` is storage for the result.
    """
    spikes = torch.empty_like(potential) if out is None else out
    return torch.ge(potential.detach(), bound, out=spikes)


def reaches(potential: Tensor, threshold: float | Tensor, out: Tensor | None = None) -> Tensor:
    """1 where ``potential >= threshold * (1 - eps)``, else 0: thresholds that are the largest number they are met by.

    ``out`` is storage for the result.
    """
    return at_least(potential, threshold * (1.0 - tie_tolerance(potential.dtype)), out)
