"""Codes whose windows compute a function of their own: whether it is the population's, and how well they do it."""

from __future__ import annotations

import logging

import torch

from coding import Code
from snnconv.calibration.current_statistics import CurrentStatistics
from snnconv.calibration.fitting import Statistics
from snnconv.errors import ConfigurationError
from snnconv.graph.operators import ActivationFunction
from snnconv.graph.operators.expression import Expression, expression

#: Currents that are compared, from the smallest to the largest of the calibration data.
_CURRENTS = 4001
#: Error, beside the largest size of the function's values, that is worth a warning.
_LARGE_ERROR = 0.1

_logger = logging.getLogger(__name__)


def check_computing(
    name: str, activation: ActivationFunction, observed: Statistics, code: Code, initial_potential: float | None
) -> None:
    """Raise ``ConfigurationError`` where ``code`` computes another function than ``activation``, or starts elsewhere.

    Logs a warning where it is far off for a current that was ``observed``: its coefficients were not fitted to them.
    """
    if code.computes is None:
        return
    remedy = "name the populations of that function by a pattern, such as coding={'layer.*': code}"
    if not isinstance(observed, CurrentStatistics):
        raise ConfigurationError(
            f"{code.name} code with the coefficients of {code.computes} computes that function, and this population is "
            f"{activation.name}, whose spikes stand for its values; {remedy}"
        )
    lowest, highest = float(observed.lowest.min()), float(observed.highest.max())
    currents = torch.linspace(lowest, highest, _CURRENTS, dtype=torch.float64)
    own = expression(Expression.text_of([(code.computes, {"self": Expression.result(0)})]))
    expected = activation(currents)
    if not torch.allclose(own(currents), expected, rtol=1e-5, atol=1e-6):
        raise ConfigurationError(
            f"{code.name} code has the coefficients of {code.computes}, and this population computes another function "
            f"of its currents, {activation}; {remedy}"
        )
    if initial_potential:
        raise ConfigurationError(
            f"initial_potential={initial_potential:g} would shift what the coefficients of {code.computes} are "
            "for; leave it out, or 0"
        )
    error = (code.quantize(currents, counted=False).values - expected).abs()
    worst, largest = error.argmax(), float(expected.abs().max())
    if float(error[worst]) > _LARGE_ERROR * largest:
        _logger.warning(
            "%s: the coefficients of %s are off by %.3g at the current %.3g, and values go up to %.3g: they were not "
            "fitted to currents from %.3g to %.3g; leave the code out, and tables are",
            *(name, code.computes, float(error[worst]), float(currents[worst]), largest, lowest, highest),
        )
