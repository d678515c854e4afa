"""Scales of populations: activations observed on calibration data, codes and scales fitted to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from coding import Code
from coding.fit import Extremes, fit
from snnconv.calibration.activation_statistics import ActivationStatistics
from snnconv.calibration.current_statistics import CurrentStatistics
from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError, InputError
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import evaluate_graph
from snnconv.graph.operators.sample_masks import presence_of
from snnconv.progress import ProgressCallback, told


@dataclass(frozen=True)
class Scaling:
    """How scales are chosen: a percentile of the activations (100: the maximum) or least squares ("mse")."""

    percentile: float | Literal["mse"] = 99.9

    def __post_init__(self) -> None:
        number = isinstance(self.percentile, (int, float)) and not isinstance(self.percentile, bool)
        if self.percentile != "mse" and not (number and 0.0 < float(self.percentile) <= 100.0):
            raise ConfigurationError(f"percentile must be 'mse' or lie in (0, 100], got {self.percentile!r}")


def observe(
    graph: Graph,
    found: Mapping[str, ActivationStatistics | CurrentStatistics],
    chunks: Iterable[Inputs],
    progress: ProgressCallback | None = None,
) -> None:
    """Gather the statistics of the results that ``found`` names, when ``graph`` runs on ``chunks``.

    Of populations that are looked up their currents are observed. Two passes: maxima first, then histograms over the
    ranges found. Raises ``InputError`` for a result that is NaN or infinite.
    """
    seen = {name: graph.nodes[name].arguments["self"].name for name in found}
    seen = {name: seen[name] if isinstance(each, CurrentStatistics) else name for name, each in found.items()}
    present = {name: place for name in found if (place := presence_of(graph, graph.nodes[name])) is not None}
    passes = [(False, chunk) for chunk in chunks]
    passes += [(True, chunk) for _, chunk in passes]
    with torch.no_grad():
        for counting, chunk in told(progress, "observing activations", passes, len(passes)):
            _, values = evaluate_graph(graph, chunk, keep={*found, *seen.values(), *present.values()})
            for name, observed in found.items():
                if not bool(torch.isfinite(values[name]).all()):
                    raise InputError(f"calibration: the activation {name} is NaN or infinite for some sample")
                observed.present = values[present[name]] if name in present else None
                observe_next = observed.observe_histogram if counting else observed.observe_maximum
                observe_next(values[seen[name]])


def largest_of(observed: ActivationStatistics, scaling: Scaling, code: Code) -> Tensor:
    """The largest value that ``code`` is to carry for every channel, ``[channels]``; 0 where nothing was active."""
    if scaling.percentile == "mse":
        return observed.least_squares(code)
    return observed.percentile(scaling.percentile)


def fitted_code(code: Code, observed: ActivationStatistics, scaling: Scaling) -> Code:
    """``code`` with its free parameter fitted to what was observed, all channels together, each by its own range.

    With least-squares scales the range depends on the code and the code on the range, so both are fitted in turn.
    """
    if code.free_parameter is None:
        return code
    if not bool((observed.maximum > 0).any()):  # nothing is known of the values, so all are taken to be as likely
        centres = observed.centres()
        return fit(code, centres, torch.ones_like(centres))
    first = Scaling(99.9) if scaling.percentile == "mse" else scaling
    fitted = _fitted(code, observed, largest_of(observed, first, code))
    if scaling.percentile == "mse":
        for _ in range(2):
            fitted = _fitted(code, observed, largest_of(observed, scaling, fitted))
    return fitted


def _fitted(code: Code, observed: ActivationStatistics, largest: Tensor) -> Code:
    values, weights = _relative_to(observed, largest)
    extremes = _extremes(observed, largest, values) if code.free_parameter == "sample-gradient" else None
    return fit(code, values, weights, extremes)


def _relative_to(observed: ActivationStatistics, largest: Tensor) -> tuple[Tensor, Tensor]:
    """Values ``[channels, bins]`` in units of the largest to carry, and the weight of their squared errors."""
    active = observed.maximum > 0
    unit = largest[active][:, None]
    values = observed.maximum[active][:, None] * observed.centres()[None] / unit
    weights = observed.histogram[active].double() * unit.double() ** 2
    weights[:, 0] = 0.0
    return values, weights


def _extremes(observed: ActivationStatistics, largest: Tensor, values: Tensor) -> Extremes:
    """The 2nd percentile of all ``values``, with all zeros, and the mean over samples and channels of their largest."""
    active = observed.maximum > 0
    sizes, order = values.flatten().sort()
    counted = observed.histogram[active].flatten()[order].double().cumsum(0)
    smallest = sizes[int(torch.searchsorted(counted, 0.02 * counted[-1]))]
    means = observed.peaks[active] / max(observed.samples, 1) / largest[active]
    return Extremes(float(smallest), float(means.mean()))


def scale_of(observed: ActivationStatistics, scaling: Scaling, code: Code) -> tuple[Tensor, tuple[int, ...]]:
    """Scale ``[channels]`` of a population (``[1]`` for one scale), and the channels that were silent throughout.

    A silent channel takes the largest scale of the layer: it neither divides by zero nor saturates if it fires later.
    """
    found = largest_of(observed, scaling, code)
    silent = observed.maximum <= 0
    largest = found.max()
    fallback = largest if bool(largest > 0) else torch.ones_like(largest)
    found = torch.where(found > 0, found, fallback)
    if observed.activation.bound is not None:
        found = found.clamp(max=observed.activation.bound)
    return found / code.full_scale, tuple(int(channel) for channel in torch.nonzero(silent).flatten())
