"""What is fitted to a population's statistics: its code, its scale and, where it has any, its tables."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from coding import Code, ConfigurationError
from coding.table_fitting import fit_tables
from coding.table_lines import fit_lines
from coding.window.function_table import cells_of, table_for
from snnconv.calibration.activation_statistics import ActivationStatistics
from snnconv.calibration.current_statistics import BEYOND, BINS, CurrentStatistics
from snnconv.calibration.scales import Scaling, fitted_code, scale_of

#: Parts of a bin in which a pole is looked for, and how far above all other values its sides must rise.
_PARTS, _PEAK = 16, 4.0

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
        if asked.computes is not None:  # of currents as they are
            return Fitted(asked, torch.ones_like(observed.unit), (), None)
        return _tabulated(observed, table_for(asked))
    code = fitted_code(asked, observed, scaling)
    return Fitted(code, *scale_of(observed, scaling, code), None)


def _tabulated(observed: CurrentStatistics, code: Code) -> Fitted:
    edges, weights = observed.distribution()
    values = observed.activation((edges[:, 1:] + edges[:, :-1]) / 2)
    _refuse_poles(observed, edges[:, BEYOND : BEYOND + BINS + 1])
    divides = observed.divides
    values, weights = _as_far_as_known(values, weights, positive=divides)
    cells = cells_of(code)
    places = code.steps - cells + 1
    thresholds, payloads = fit_tables(values, weights, edges, cells, relative=divides, places=places)
    if divides:
        weights = weights / values.square()
    least = values.amin(1, keepdim=True) if divides or observed.axes is not None else None
    lines = fit_lines(values, weights, edges, thresholds, payloads, places, least)
    if observed.present is not None:  # where no neuron is needed its current lies below all that it can be elsewhere
        thresholds = torch.maximum(thresholds, 2 * edges[:, :1] - edges[:, -1:])
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


def _refuse_poles(observed: CurrentStatistics, edges: Tensor) -> None:
    """Raise ``ConfigurationError`` where the function has a pole in a bin: far larger values than at all edges."""

    def sizes(currents: Tensor) -> Tensor:
        return observed.activation(currents).abs().nan_to_num(nan=torch.inf, posinf=torch.inf)

    ends, widths = sizes(edges), edges.diff()
    usual = ends.where(ends.isfinite(), ends.new_zeros(())).amax(1, keepdim=True)
    peaks = ends[:, :-1].clone()
    peaks[:, 0] = 0.0  # a current that was seen, with a finite value
    for part in range(1, _PARTS):  # one after the other: of wide populations all at once are gigabytes
        peaks = torch.maximum(peaks, sizes(edges[:, :-1] + widths * (part / _PARTS)))
    found = (peaks > _PEAK * usual) | ~peaks.isfinite()
    if bool(found.any()):
        channel, place = found.nonzero()[0].tolist()
        pole, low, high = (float(edges[channel, at]) for at in (place, 0, -1))
        raise ConfigurationError(
            f"{observed.activation} has a pole near {pole:.3g}, within the range of its currents on calibration data "
            f"({low:.3g} to {high:.3g}), so that no table holds its values; keep its argument away from the pole, for "
            "instance by clamp or by an epsilon"
        )


def _as_far_as_known(values: Tensor, weights: Tensor, positive: bool) -> tuple[Tensor, Tensor]:
    """``values`` without what lies beyond a pole or the function's domain, where calibration data never came.

    Beyond the range a function may leave the span of its observed values by that span. Farther bins, and those where it
    is infinite or NaN, have the value of the nearest bin that counts, and weigh nothing. So have those where a
    ``positive`` function is not above 0.
    """
    known = values[:, BEYOND : BEYOND + BINS]
    low, high = known.amin(1, keepdim=True), known.amax(1, keepdim=True)
    span = (high - low).clamp(min=1e-12)
    kept = values.isfinite() & (values >= low - span) & (values <= high + span)
    if positive:
        kept &= values > 0
    if bool(kept.all()):
        return values, weights
    bins = torch.arange(values.shape[1], device=values.device).expand(values.shape)
    before = torch.where(kept, bins, -1).cummax(1).values
    after = torch.where(kept, bins, values.shape[1]).flip(1).cummin(1).values.flip(1)
    nearest = torch.where((before >= 0) & ((bins - before <= after - bins) | (after == values.shape[1])), before, after)
    return values.gather(1, nearest.clamp(0, values.shape[1] - 1)), torch.where(kept, weights, 0.0)
