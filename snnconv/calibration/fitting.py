"""What is fitted to a population's statistics: its code, its scale and, where it has any, its tables."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from coding import Code
from coding.table_fitting import fit_tables
from coding.table_lines import fit_lines
from coding.window.function_table import FunctionTable, table_for
from snnconv.calibration.activation_statistics import ActivationStatistics
from snnconv.calibration.current_statistics import CurrentStatistics
from snnconv.calibration.scales import Scaling, fitted_code, scale_of

#: What is observed of a population: values as their code sees them, or currents that are looked up.
Statistics = ActivationStatistics | CurrentStatistics


class Fitted(NamedTuple):
    """The fitted code of a population, its scale ``[channels]``, channels that were silent throughout, and its tables.

    Tables are a stack of ``neurons.table_lookup.Tables``, or ``None``.
    """

    code: Code
    scale: Tensor
    silent: tuple[int, ...]
    tables: Tensor | None


def fitted(observed: Statistics, asked: Code, scaling: Scaling) -> Fitted:
    """What ``observed`` makes of the code that was ``asked`` for; raises ``ConfigurationError`` where none fits."""
    if isinstance(observed, CurrentStatistics):
        return _tabulated(observed, table_for(asked))
    code = fitted_code(asked, observed, scaling)
    return Fitted(code, *scale_of(observed, scaling, code), None)


def _tabulated(observed: CurrentStatistics, code: FunctionTable) -> Fitted:
    edges, weights = observed.distribution()
    values = observed.activation((edges[:, 1:] + edges[:, :-1]) / 2)
    values, weights = _within_domain(values, weights)
    places = code.steps - code.cells + 1
    thresholds, payloads = fit_tables(values, weights, edges, code.cells, places=places)
    lines = fit_lines(values, weights, edges, thresholds, payloads, places)
    largest = torch.where(weights > 0, values.abs(), 0.0).amax(1)
    unit = torch.maximum(observed.unit, largest.to(observed.unit))
    scale = unit.double()[:, None]
    parts = (
        thresholds / scale,
        lines.payloads / scale,
        lines.origins / scale,
        lines.rates * scale,
        lines.slopes / scale,
    )
    return Fitted(code, unit, (), torch.stack(parts).to(unit.dtype))


def _within_domain(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """``values`` of which those that are infinite or NaN are that of the nearest bin that counts, and weigh nothing.

    Calibration data have none there, or the network itself would have been refused: such bins are beyond the range.
    """
    finite = values.isfinite()
    if bool(finite.all()):
        return values, weights
    bins = torch.arange(values.shape[1], device=values.device).expand(values.shape)
    before = torch.where(finite, bins, -1).cummax(1).values
    after = torch.where(finite, bins, values.shape[1]).flip(1).cummin(1).values.flip(1)
    nearest = torch.where((before >= 0) & ((bins - before <= after - bins) | (after == values.shape[1])), before, after)
    return values.gather(1, nearest.clamp(0, values.shape[1] - 1)), torch.where(finite, weights, 0.0)
