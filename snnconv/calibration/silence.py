"""Warning where a window is too short for the range of its values."""

from __future__ import annotations

import logging
from dataclasses import replace

from torch import Tensor

from coding import Code
from snnconv.calibration.activation_statistics import ActivationStatistics
from snnconv.calibration.current_statistics import CurrentStatistics
from snnconv.calibration.fitting import Statistics
from snnconv.calibration.scales import Scaling, scale_of
from snnconv.errors import ConfigurationError

#: Share of the mean square of a population's values that a code may silence before it is worth a warning.
SILENCED_SHARE = 0.01


_logger = logging.getLogger(__name__)


def silenced(observed: ActivationStatistics, scale: Tensor, code: Code) -> tuple[int, float]:
    """Active calibration values that ``code`` makes silent, and their share of the mean square of all values."""
    active = observed.maximum > 0
    values = observed.maximum[active][:, None] * observed.centres()[None]
    counts = observed.histogram[active].clone()
    counts[:, 0] = 0  # mostly zeros
    lost = code.quantize(values / scale.expand(len(active))[active][:, None], counted=False).values == 0
    squares = counts * values.double().square()
    return int(counts[lost].sum()), float(squares[lost].sum() / squares.sum().clamp(min=1e-300))


def warn_of_silence(name: str, observed: Statistics, scaling: Scaling, code: Code) -> None:
    """Log a warning where the window is too short for the range of the values, with a length that would do."""
    if isinstance(observed, CurrentStatistics):  # its tables cover the range, however many cells they have
        return

    def found(steps: int) -> tuple[int, float]:
        longer = replace(code, steps=steps)
        return silenced(observed, scale_of(observed, scaling, longer)[0], longer)

    count, share = found(code.steps)
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
