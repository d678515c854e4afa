"""Warning where a window is too short for the range of its values."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from coding import Code
from coding.window.staircase import decoded, staircase_of
from snnconv.calibration.activation_statistics import ActivationStatistics
from snnconv.calibration.current_statistics import CurrentStatistics
from snnconv.calibration.fitting import Statistics
from snnconv.calibration.scales import Scaling, scale_of
from snnconv.errors import ConfigurationError

#: Share of the mean square of a population's values that a code may silence before it is worth a warning.
SILENCED_SHARE = 0.01
_BISECTIONS = 40

_logger = logging.getLogger(__name__)


def silenced(observed: ActivationStatistics, scale: Tensor, code: Code) -> tuple[int, float]:
    """Active calibration values that ``code`` makes silent, and their share of the mean square of all values."""
    active = observed.maximum > 0
    scale = scale.expand(len(active))[active][:, None]
    least = _least(code) * scale / observed.maximum[active][:, None]
    centres = observed.centres()
    counts, squares = observed.histogram[active, 1:], centres[1:].double().square()  # the lowest bin is mostly zeros
    most = int(torch.searchsorted(centres[1:], least.max())) if len(least) else 0
    lost = counts[:, :most] * (centres[1 : most + 1] < least)
    weights = observed.maximum[active].double().square()
    missed, whole = (weights @ (part.double() @ squares[: part.shape[1]]) for part in (lost, counts))
    return int(lost.sum()), float(missed / whole.clamp(min=1e-300))


@lru_cache(maxsize=64)
def _least(code: Code) -> float:
    """The least value that a window of ``code`` does not make zero, in units of the scale; at most its largest.

    Found by bisection where the code has no staircase: larger values are decoded to larger ones.
    """
    if (stairs := staircase_of(code)) is not None:
        return float(stairs.lowest[stairs.values > 0][0]) * code.full_scale
    low, high = 0.0, code.full_scale
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        fires = bool(decoded(code, torch.tensor([middle], dtype=torch.float64)))
        low, high = (low, middle) if fires else (middle, high)
    return high


def warn_of_silence(name: str, observed: Statistics, scaling: Scaling, code: Code, scale: Tensor) -> None:
    """Log a warning where the window is too short for the range of the values, with a length that would do.

    ``scale`` is what ``scaling`` chose for ``code``.
    """
    if isinstance(observed, CurrentStatistics):  # its tables cover the range, however many cells they have
        return

    def found(steps: int) -> tuple[int, float]:
        longer = replace(code, steps=steps)
        return silenced(observed, scale_of(observed, scaling, longer)[0], longer)

    count, share = silenced(observed, scale, code)
    if share <= SILENCED_SHARE:
        return
    remedy = "give it more steps, or a code of a wider range"
    try:
        short, enough = code.steps, 2 * code.steps
        while enough <= 16 * code.steps and found(enough)[1] > SILENCED_SHARE:
            short, enough = enough, 2 * enough
        while enough <= 16 * code.steps and enough - short > 1:
            middle = (short + enough) // 2
            short, enough = (short, middle) if found(middle)[1] <= SILENCED_SHARE else (middle, enough)
        if enough <= 16 * code.steps:
            remedy = f"{enough} steps would do"
    except ConfigurationError:  # a code whose other parameters do not fit another number of steps
        pass
    _logger.warning(
        "%s: a window of %d steps is too short for the range of its values: %d activations of the calibration data "
        "(%.1f %% of the mean square) are silenced; %s",
        name,
        code.steps,
        count,
        100.0 * share,
        remedy,
    )
