"""Tables of one spike from functions: where thresholds lie and what spikes are worth, for the least squared error."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, pad

from coding.errors import ConfigurationError

#: Costs of cells that are looked at together: they fit the caches.
_COSTS_TOGETHER = 2**19
#: Share of the groups of bins that lie evenly, whatever the function does there.
_EVEN_SHARE = 0.15
#: Weight of a channel's bins that no current fell into beside that of the others: it says where thresholds lie there.
_UNSEEN_WEIGHT = 1e-9
#: Silence is taken where it leaves at most this much more squared error (1 % of its root): it costs no spike.
_SILENCE_BONUS = 1.01**2
#: How far apart thresholds above the largest current lie, beside the largest size of a current.
_LEAST_GAP = 2.0**-20
#: How far below 0 a threshold lies that would be 0, in widths of the bin below.
_GAP_AROUND_ZERO = 1 / 16
#: Least size of a payload beside the channel's largest: a spike that is worth 0 would not be seen.
LEAST_PAYLOAD = 2.0**-60
#: A function with a relative error is nowhere smaller than this beside its largest value.
_LEAST_DIVISOR = 1e-100


def fit_tables(
    values: Tensor, weights: Tensor, edges: Tensor, levels: int, relative: bool = False, places: int = 1
) -> tuple[Tensor, Tensor]:
    """Thresholds and payloads of the one-spike tables that are nearest to a function of the current, by channel.

    A neuron fires once, at the first step whose threshold its potential reaches; below all thresholds it is silent,
    worth 0. Where a channel's error is smaller without silence, by more than 1 %, its last threshold is -inf. The cells
    are the best that edges of bins allow (dynamic programming, Bruce 1965). More than a few bins a level are gathered
    first, in groups over which the function changes alike for those that best levels follow (Panter and Dite 1951).

    Args:
        values: ``[channels, bins]``, the mean of the function over each bin (or its value in the bin's middle).
        weights: ``[channels, bins]``, how often currents fall into each bin, in any unit; a channel without any gets
            the table for currents that are spread evenly.
        edges: ``[channels, bins + 1]``, rising currents between the bins, whose widths may differ.
        levels: Steps of the window, or of the part of it in which the first spike is fired.
        relative: Minimise the error relative to the function, for values that divide or scale others. Such a table
            is never silent: 0 is wrong by the whole of a value.
        places: How many even places in a cell a second spike tells apart, by a straight line through the function
            (see ``fit_lines``); 1 where there is none.

    Returns:
        ``thresholds`` and ``payloads`` by step, both ``[channels, levels]`` in double precision. Thresholds fall, and
        none is 0, where the leaders of a maximum lie. A payload is the weighted mean over its cell, or the value in the
        middle of a cell without weight, and never 0. Steps that find no bin wait above the largest current.

    Raises:
        ConfigurationError: Shapes disagree, ``levels`` is not positive, a value is not finite, a weight is negative,
            edges do not rise, or a function with a relative error is 0 somewhere.
    """
    _check(values, weights, edges, levels, relative)
    channels, bins = values.shape
    groups = min(bins, 96 + 2 * levels)
    together = max(1, _COSTS_TOGETHER // (groups + 1) ** 2)
    thresholds = values.new_empty(channels, levels, dtype=torch.float64)
    payloads = torch.empty_like(thresholds)
    for start in range(0, channels, together):
        part = slice(start, start + together)
        some, currents = values[part].detach().double(), edges[part].detach().double()
        scale = some.abs().amax(1, keepdim=True)
        scale = torch.where(scale > 0, scale, 1.0)
        some = some / scale
        share = _shares(some, weights[part].detach().double(), currents, relative)
        binned = _Binned(some, share, currents, places)
        first_bins, always = _best_cells(binned, groups, levels, silence=not relative)
        thresholds[part] = _thresholds(currents, first_bins, always)
        payloads[part] = _payloads(some, share, first_bins) * scale
    return thresholds, payloads


def _check(values: Tensor, weights: Tensor, edges: Tensor, levels: int, relative: bool) -> None:
    if levels < 1:
        raise ConfigurationError(f"fit_tables: levels must be at least 1, got {levels}")
    right = values.ndim == 2 and values.shape[1] > 0 and weights.shape == values.shape
    if not right or edges.shape != (values.shape[0], values.shape[1] + 1):
        raise ConfigurationError(
            "fit_tables: values and weights must be [channels, bins] and edges [channels, bins + 1], "
            f"got {list(values.shape)}, {list(weights.shape)} and {list(edges.shape)}"
        )
    _refuse(~values.isfinite(), "the function must be finite (give a range without poles)", values)
    _refuse(~(weights.isfinite() & (weights >= 0)), "weights must be finite and not negative", weights)
    _refuse(~edges.isfinite(), "edges must be finite", edges)
    _refuse(edges.diff() <= 0, "edges must rise", edges.diff())
    if relative:
        size = values.abs()
        none = size <= size.amax(1, keepdim=True) * _LEAST_DIVISOR
        _refuse(none, "a relative error needs a function that is nowhere 0 (give a range without its zeros)", values)


def _refuse(wrong: Tensor, rule: str, numbers: Tensor) -> None:
    if bool(wrong.any()):
        channel, place = wrong.nonzero()[0].tolist()
        raise ConfigurationError(
            f"fit_tables: {rule}, got {float(numbers[channel, place])} in channel {channel} at place {place}"
        )


def _shares(values: Tensor, weights: Tensor, edges: Tensor, relative: bool) -> Tensor:
    """What the squared error in each bin counts, in parts of a channel's whole."""
    weights = torch.where((weights > 0).any(1, keepdim=True), weights, edges.diff())
    weights = weights / weights.amax(1, keepdim=True)
    if relative:
        weights = weights / values.square()
    return weights / weights.sum(1, keepdim=True)


class _Binned(NamedTuple):
    """A function by bins, what errors in them count, the currents between them, and the places of a cell."""

    values: Tensor
    share: Tensor
    edges: Tensor
    places: int


def _best_cells(binned: _Binned, groups: int, levels: int, silence: bool) -> tuple[Tensor, Tensor]:
    """The first bin of the cell of every step, ``[channels, levels]``, and where the last step fires for all below.

    The first bin of a step that is not used is the one behind the last.
    """
    cuts = _cuts(binned.values, binned.share, groups)
    silent, cost = _costs(binned, cuts)
    # best[k][:, i]: the least cost of the groups from i on in at most k + 1 cells.
    best = [cost[:, :, -1]]
    sums = torch.empty_like(cost)
    for _ in range(levels - 1):
        torch.add(cost, best[-1].unsqueeze(1), out=sums)
        best.append(sums.amin(2))
    least, place = (silent + best[-1]).min(1)
    always = (least > best[-1][:, 0] * _SILENCE_BONUS) | (not silence)
    places = [place.masked_fill(always, 0)]
    channel = torch.arange(len(cuts), device=cuts.device)
    for rest in reversed(best[:-1]):
        places.append((cost[channel, places[-1]] + rest).argmin(1))
    return cuts.gather(1, torch.stack(places[::-1], 1)), always


def _cuts(values: Tensor, share: Tensor, groups: int) -> Tensor:
    """The first bin of every group, and the one behind the last: ``[channels, groups + 1]``.

    Groups have equal parts of the density of best levels, (|f'|^2 p)^(1/3), but for a few that lie evenly.
    """
    bins = values.shape[1]
    number = torch.arange(groups + 1, device=values.device)
    if groups == bins:
        return number.repeat(len(values), 1)
    reach = bins // 128
    smooth = avg_pool1d(share, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)
    change = pad(values.diff().abs(), (1, 1))
    density = ((change[:, :-1] + change[:, 1:]).square() * smooth).pow(1 / 3)
    density = density / density.sum(1, keepdim=True).clamp(min=1e-300) * (1 - _EVEN_SHARE) + _EVEN_SHARE / bins
    upto = density.cumsum(1)
    cuts = torch.searchsorted(upto, upto[:, -1:] * (number / groups), right=True)
    # Every group has a bin: pushed apart upwards, then down from the end.
    return torch.minimum((cuts - number).cummax(1).values + number, bins - groups + number)


def _costs(binned: _Binned, cuts: Tensor) -> tuple[Tensor, Tensor]:
    """The squared error of silence below each cut, ``[channels, cuts]``, and that of a cell from cut to cut.

    Single precision holds them, though not the sums of which they are differences. Silence that no current meets is
    none.
    """
    values, share, edges, places = binned
    unmet = pad(share.cumsum(1), (1, 0)).gather(1, cuts) == 0
    square = values.square()
    usual = (share * square).sum(1, keepdim=True).clamp(min=1e-300)
    # What was not seen never bends the cells of what was: larger values than usual get less.
    share = share + _UNSEEN_WEIGHT / values.shape[1] / (square / usual).clamp(min=1.0)
    centred = values - (share * values).sum(1, keepdim=True) / share.sum(1, keepdim=True)
    mass, moment, second, silent = (
        pad(part.cumsum(1), (1, 0)).gather(1, cuts)
        for part in (share, share * centred, share * centred.square(), share * square)
    )

    def between(below: Tensor) -> Tensor:
        return below.unsqueeze(1) - below.unsqueeze(2)

    masses = between(mass).clamp_(min=1e-300)
    explained = between(moment).square_().div_(masses)
    if places > 1:
        middles = (edges[:, 1:] + edges[:, :-1]) / (2 * edges.abs().amax(1, keepdim=True))
        along, current, spread = (
            pad(part.cumsum(1), (1, 0)).gather(1, cuts)
            for part in (share * middles * centred, share * middles, share * middles.square())
        )
        variance = between(spread).sub_(between(current).square_().div_(masses)).clamp_(min=1e-300)
        covariance = between(along).sub_(between(current).mul_(between(moment)).div_(masses))
        width = between(edges.gather(1, cuts)).div_(edges.abs().amax(1)[:, None, None])
        # What a line explains, less what even places leave of it: a twelfth of the square of a step, everywhere.
        left = masses.mul_(width.square_()).div_(12.0 * places**2).div_(variance)
        explained += covariance.square_().div_(variance).mul_(1.0 - left.clamp_(max=1.0))
    # At least 1e-30: numbers with few digits are slow, and of equally good tables that with fewer cells is taken.
    cost = between(second).sub_(explained).float().clamp_(min=1e-30)
    cost += torch.full_like(cost[0], torch.inf).tril_()
    cost[:, -1, -1] = 0.0  # a step that is not used
    return silent.float().masked_fill_(unmet, torch.inf), cost


def _payloads(values: Tensor, share: Tensor, first_bins: Tensor) -> Tensor:
    """What a spike of each step is worth: the mean of the values over its cell."""
    channels, bins = values.shape
    rising = first_bins.flip(1).contiguous()
    number = torch.arange(bins, device=values.device).repeat(channels, 1)
    cell = torch.searchsorted(rising, number, right=True)  # 0: silence
    empty = values.new_zeros(channels, rising.shape[1] + 1)
    mass = empty.scatter_add(1, cell, share)[:, 1:]
    moment = empty.scatter_add(1, cell, share * values)[:, 1:]
    middle = (rising + pad(rising[:, 1:], (0, 1), value=bins) - 1) // 2
    mean = torch.where(mass > 0, moment / torch.where(mass > 0, mass, 1.0), values.gather(1, middle)).flip(1)
    largest = mean.abs().amax(1, keepdim=True)
    least = torch.where(largest > 0, largest, 1.0) * LEAST_PAYLOAD
    return torch.where(mean < 0, mean.clamp(max=-least), mean.clamp(min=least))


def _thresholds(edges: Tensor, first_bins: Tensor, always: Tensor) -> Tensor:
    """The potential that each step waits for: where its cell begins, -inf at the last step of what ``always`` fires."""
    # 0 belongs to the cell above it, by more than rounding.
    room = pad(edges.diff()[:, :-1], (1, 1)) * _GAP_AROUND_ZERO
    thresholds = torch.where(edges.abs() < room, -room, edges).gather(1, first_bins)
    unused = (first_bins == edges.shape[1] - 1).flip(1).cumsum(1).flip(1)
    thresholds += unused * edges.abs().amax(1, keepdim=True) * _LEAST_GAP
    thresholds[:, -1].masked_fill_(always, -torch.inf)
    return thresholds
