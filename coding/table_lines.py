"""Straight lines through the cells of a table, for a second spike that says where in its cell a potential lies."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from coding.table_fitting import LEAST_PAYLOAD


class Lines(NamedTuple):
    """The line of every cell, each ``[channels, cells]``.

    A potential in a cell has the level floor((potential - origin) * rate), from 0 to one less than there are levels; it
    is worth payload + level * slope.
    """

    payloads: Tensor
    origins: Tensor
    rates: Tensor
    slopes: Tensor


def fit_lines(
    values: Tensor,
    weights: Tensor,
    edges: Tensor,
    thresholds: Tensor,
    payloads: Tensor,
    levels: int,
    least: Tensor | None = None,
) -> Lines:
    """The lines through the cells of a table that are nearest to a function, of as many even ``levels`` in each cell.

    ``values``, ``weights`` and ``edges`` are what ``fit_tables`` was given, ``thresholds`` and ``payloads`` what it
    made of them. With one level a line is the cell's own payload. No end of a line lies below ``least``,
    ``[channels, 1]``: a line that would is the nearest of those that end there.
    """
    lowest = torch.maximum(thresholds, edges[:, :1])
    above = torch.cat([edges[:, -1:], lowest[:, :-1]], 1)
    narrowest = 1e-9 * edges.abs().amax(1, keepdim=True).clamp(min=1e-300)
    rates = levels / (above - lowest).clamp(min=narrowest)
    if levels == 1:
        return Lines(payloads, lowest, rates, torch.zeros_like(payloads))
    middles = (edges[:, 1:] + edges[:, :-1]) / 2
    cells = thresholds.shape[1]
    reached = torch.searchsorted(thresholds.flip(1).contiguous(), middles, right=True)
    cell = (cells - reached).clamp(min=0, max=cells - 1)
    weights = torch.where(reached > 0, weights, 0.0)
    weights = weights + 1e-12 * weights.amax(1, keepdim=True) * (reached > 0)  # cells that nothing fell into, too
    level = ((middles - lowest.gather(1, cell)) * rates.gather(1, cell)).floor().clamp(0, levels - 1)

    def total(of: Tensor) -> Tensor:
        return torch.zeros_like(thresholds).scatter_add_(1, cell, of)

    mass = total(weights).clamp(min=1e-300)
    level_mean, value_mean = total(weights * level) / mass, total(weights * values) / mass
    deviation = level - level_mean.gather(1, cell)
    spread = total(weights * deviation.square())
    along = total(weights * deviation * (values - value_mean.gather(1, cell)))
    slopes = torch.where(spread > 1e-9 * mass, along / spread.clamp(min=1e-300), 0.0)
    seen = total((reached > 0).to(weights)) > 0
    found = torch.where(seen, value_mean - slopes * level_mean, payloads)
    if least is not None:
        for end in (0, levels - 1):
            away = weights * (level - end)
            steepness = total(away * (values - least)) / total(away * (level - end)).clamp(min=1e-300)
            low = seen & (found + end * slopes < least)
            slopes = torch.where(low, steepness.clamp(min=0.0) if end == 0 else steepness.clamp(max=0.0), slopes)
            found = torch.where(low, least - end * slopes, found)
    smallest = LEAST_PAYLOAD * payloads.abs().amax(1, keepdim=True).clamp(min=1e-300)
    found = torch.where(found.abs() < smallest, smallest, found)
    return Lines(found, lowest, rates, torch.where(seen, slopes, 0.0))
