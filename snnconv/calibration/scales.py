"""Scales of populations: activations observed on calibration data, codes and scales fitted to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from coding import Code
from coding.fit import Extremes, fit
from snnconv.calibration.activation_statistics import ActivationStatistics
from snnconv.errors import ConfigurationError


@dataclass(frozen=True)
class Scaling:
    """How scales are chosen: a percentile of the activations (100: the maximum) or least squares ("mse")."""

    percentile: float | Literal["mse"] = 99.9

    def __post_init__(self) -> None:
        number = isinstance(self.percentile, (int, float)) and not isinstance(self.percentile, bool)
        if self.percentile != "mse" and not (number and 0.0 < float(self.percentile) <= 100.0):
            raise ConfigurationError(f"percentile must be 'mse' or lie in (0, 100], got {self.percentile!r}")


def largest_of(observed: ActivationStatistics, scaling: Scaling, code: Code) -> Tensor:
    """The largest value that ``code`` is to carry for every channel, ``[channels]``; 0 where nothing was active."""
    if scaling.percentile == "mse":
        return observed.least_squares(code)
    return observed.percentile(scaling.percentile)


def fitted_code(code: Code, observed: ActivationStatistics, scaling: Scaling) -> Code:
    """``code`` with its free parameter fitted to what was observed, all channels together, each by its own range.

    With least-squares scales the range depends on the code and the code on the range: a first code, roughly fitted to
    nearly the whole range of the values, says which range suits.
    """
    if code.free_parameter is None:
        return code
    if not bool((observed.maximum > 0).any()):  # nothing is known of the values, so all are taken to be as likely
        centres = observed.centres()
        return fit(code, centres, torch.ones_like(centres))
    counts = observed.histogram.float()
    if scaling.percentile != "mse":
        return _fitted(code, observed, largest_of(observed, scaling, code), counts)
    rough = _fitted(code, observed, observed.percentile(99.9), counts, refined=False)
    return _fitted(code, observed, observed.least_squares(rough, counts), counts)


def _fitted(code: Code, observed: ActivationStatistics, largest: Tensor, counts: Tensor, refined: bool = True) -> Code:
    values, weights = _relative_to(observed, largest, counts)
    extremes = _extremes(observed, largest) if code.free_parameter == "sample-gradient" else None
    return fit(code, values, weights, extremes, refined=refined)


def _relative_to(observed: ActivationStatistics, largest: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Values ``[groups, bins]`` in units of the largest to carry, and the weight of their squared errors.

    Channels in which the largest value is as many times the maximum have the same values: they are a group.
    """
    active = observed.maximum > 0
    ratios, group = torch.unique(largest / torch.where(active, observed.maximum, 1.0), return_inverse=True)
    squares = torch.where(active, largest / largest.max(), 0.0).square()
    weights = torch.zeros(len(ratios), counts.shape[1], dtype=counts.dtype, device=counts.device)
    weights.index_add_(0, group, counts * squares.to(counts)[:, None])
    weights[:, 0] = 0.0
    kept = ratios > 0
    return observed.centres() / ratios[kept, None], weights[kept].double()


def _extremes(observed: ActivationStatistics, largest: Tensor) -> Extremes:
    """The 2nd percentile of all values, with all zeros, and the mean over samples and channels of their largest."""
    active = observed.maximum > 0
    values = observed.maximum[active][:, None] * observed.centres()[None] / largest[active][:, None]
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
