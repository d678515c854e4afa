"""Code parameters from data: the base of a window code that fits the distribution of a population's values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from coding.errors import ConfigurationError
from coding.minimum import least
from coding.neural_code import Code
from coding.window.staircase import Array, decoded, staircase_of
from coding.window.table_spike import TableSpike
from coding.window.ttfs import TTFS
from coding.window.window_code import PowerCode, WindowCode

#: Bases that a first scan looks at, evenly spaced in their logarithm, before the best is refined.
_SCAN, _LARGEST_BASE = 40, 4.0
_LOG_BASES = [math.log(_LARGEST_BASE) * (number + 1) / _SCAN for number in range(_SCAN)]
#: Values that a distribution is gathered into before it is fitted.
_BINS = 2**13
_LLOYD_ITERATIONS = 300


def squared_error(code: Code, values: Tensor, weights: Tensor) -> float:
    """Mean squared error of ``code`` over ``values``, relative to their mean square.

    ``values`` (any shape, not negative) are in units of the largest value that the code is to carry; ``weights`` say
    how much each counts.
    """
    carried = values * code.full_scale
    error = (code.quantize(carried, counted=False).values - carried).square_()
    mean_square = float((carried.square() * weights).sum(dtype=torch.float64))
    return float((error * weights).sum(dtype=torch.float64)) / max(mean_square, 1e-300)


class Extremes(NamedTuple):
    """The smallest and the largest value that a sample has on average, in the units of the values that are fitted."""

    smallest: float
    largest: float


def fit(code: Code, values: Tensor, weights: Tensor, extremes: Extremes | None = None, *, refined: bool = True) -> Code:
    """``code`` with its free parameter fitted to ``values``; unchanged where it has none or it is a number.

    "fit" minimises the squared error (see ``squared_error``); "gradient" is the published optimisation of the TTFS
    kernel, and "sample-gradient" the same between the ``extremes`` of samples where they are given. Not ``refined``, a
    base is the best of a few, up to 2 % from the best of all, for whoever then fits again. Raises
    ``ConfigurationError`` for values that are all zero.
    """
    asked = code.free_parameter
    if asked is None or not isinstance(code, WindowCode):
        return code
    values, weights = values.flatten().double(), weights.flatten().double()
    kept = (values > 0) & (weights > 0)
    if not bool(kept.any()):
        raise ConfigurationError(f"{type(code).__name__}: there is no positive value to fit {asked} to")
    values, weights = _gathered(values[kept], weights[kept])
    if isinstance(code, TableSpike):
        return code.with_levels(_best_levels(code.steps, values, weights))
    if isinstance(code, TTFS) and asked != "fit":
        return optimize_kernel(code, values, weights, extremes=extremes if asked == "sample-gradient" else None).code
    assert isinstance(code, PowerCode)
    return _best_base(code, values, weights, refined)


def _gathered(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """At most ``_BINS`` values that stand for all of them, each the mean of its neighbours."""
    bins = (values * (_BINS / float(values.max()))).long().clamp_(max=_BINS - 1)
    total = torch.zeros(_BINS, dtype=weights.dtype, device=weights.device).index_add_(0, bins, weights)
    moment = torch.zeros_like(total).index_add_(0, bins, weights * values)
    filled = total > 0
    return moment[filled] / total[filled], total[filled]


def _best_base(code: PowerCode, values: Tensor, weights: Tensor, refined: bool) -> Code:
    errors_of = _SquaredErrors(values, weights)

    def error(log_base: float) -> float:
        return errors_of(code.with_base(math.exp(log_base)))

    scanned = _scanned(code)
    errors = [error(log_base) for log_base in _LOG_BASES] if scanned is None else errors_of.of_all(scanned)
    best = min(range(_SCAN), key=errors.__getitem__)
    if not refined:
        return code.with_base(math.exp(_LOG_BASES[best]))
    bounds = (_LOG_BASES[best - 1] if best else _LOG_BASES[0] / 8, _LOG_BASES[min(best + 1, _SCAN - 1)])
    place, its_error = least(error, *bounds, tolerance=1e-4)
    return code.with_base(math.exp(place if its_error < errors[best] else _LOG_BASES[best]))


class _Stairs(NamedTuple):
    """The staircases of many codes one behind the other, and where each begins."""

    lowest: Array
    values: Array
    starts: Array


@lru_cache(maxsize=8)
def _scanned(code: PowerCode) -> _Stairs | None:
    """The staircases of ``code`` with every base of the scan; ``None`` where one of them has too many values."""
    found = [staircase_of(code.with_base(math.exp(log_base))) for log_base in _LOG_BASES]
    stairs = [each for each in found if each is not None]
    if len(stairs) < len(found):
        return None
    starts = np.cumsum([0, *(len(each.values) for each in stairs[:-1])])
    lowest, values = (np.concatenate(column) for column in zip(*stairs, strict=True))
    return _Stairs(lowest, values, starts)


class _SquaredErrors:
    """The ``squared_error`` of many codes over the same flat, positive values, by sums over those that become one."""

    def __init__(self, values: Tensor, weights: Tensor) -> None:
        order = values.argsort()
        self._values, self._weights = values[order], weights[order]
        moments = [torch.ones_like(self._values), self._values, self._values.square()]
        sums = torch.stack([(self._weights * moment).cumsum(0) for moment in moments])
        self._sums = torch.nn.functional.pad(sums, (1, 0)).cpu().numpy()
        self._sorted = self._values.cpu().numpy()

    def __call__(self, code: Code) -> float:
        stairs = staircase_of(code)
        if stairs is None:
            carried = self._values * code.full_scale
            error = (decoded(code, carried) - carried).square_() / code.full_scale**2
            return float((error * self._weights).sum()) / float(self._sums[2, -1])
        return self.of_all(_Stairs(stairs.lowest, stairs.values, np.zeros(1, dtype=np.int64)))[0]

    def of_all(self, stairs: _Stairs) -> list[float]:
        """The errors of all codes that have these ``stairs``."""
        begin = np.searchsorted(self._sorted, stairs.lowest)
        end = np.append(begin[1:], len(self._sorted))
        end[stairs.starts[1:] - 1] = len(self._sorted)
        mass, moment = self._sums[:2, end] - self._sums[:2, begin]
        gained = np.add.reduceat(stairs.values * (stairs.values * mass - 2.0 * moment), stairs.starts)
        found: list[float] = (1.0 + gained / self._sums[2, -1]).tolist()
        return found


def _best_levels(steps: int, values: Tensor, weights: Tensor) -> tuple[float, ...]:
    """Levels of the least squared error beside 0, falling from 1: thresholds midway, levels at the means between."""
    order = values.argsort()
    along, counted = (part[order].cpu().numpy() for part in (values, weights))
    mass, moment = (np.append(0.0, np.cumsum(part)) for part in (counted, counted * along))
    levels: Array = along[-1] * np.linspace(0, 1, steps + 1) ** 1.5
    cuts: Array = np.full(steps + 1, len(along))
    before: Array = np.zeros_like(cuts)
    for _ in range(_LLOYD_ITERATIONS):
        cuts[:-1] = along.searchsorted((levels[1:] + levels[:-1]) / 2)
        if (cuts == before).all():
            break  # and so would all that follow
        before[:] = cuts
        upto, moments = mass[cuts], moment[cuts]
        inside = upto[1:] - upto[:-1]
        np.divide(moments[1:] - moments[:-1], inside, out=levels[1:], where=inside > 0)
    falling = (levels[1:] / levels[-1])[::-1].tolist()
    # Equal levels, from fewer distinct values than steps, are pulled apart: the later of them is never needed.
    for step in range(1, steps):
        falling[step] = min(falling[step], falling[step - 1] * (1.0 - 1e-6))
    return tuple(falling)


@dataclass(frozen=True)
class KernelOptimization:
    """The fitted code, and after every update the three losses of T2FSNN: precision, smallest and largest value."""

    code: TTFS
    precision: tuple[float, ...]
    smallest: tuple[float, ...]
    largest: tuple[float, ...]


def optimize_kernel(
    code: TTFS, values: Tensor, weights: Tensor, updates: int = 240, extremes: Extremes | None = None
) -> KernelOptimization:
    """Gradient-based optimisation of tau and delay (T2FSNN, Park et al. 2020), on a weighted set of values.

    Every update sees all of ``values`` (normalised, flat) where the paper takes a batch. tau descends the precision
    loss (gain 10) and the loss on the smallest value (gain 100), the delay that on the largest (gain 1). The smallest
    value is the 2nd percentile, the largest what the earliest spike carries, unless ``extremes`` say both. tau starts
    from a quarter of the window unless ``code`` holds a number. Raises ``ConfigurationError`` if tau leaves the
    positive numbers.
    """
    tau = code.steps / 4 if isinstance(code.tau, str) else float(code.tau)
    delay, steps = code.delay, code.steps
    share = weights / weights.sum()
    order = values.argsort()
    place = int(torch.searchsorted(share[order].cumsum(0), share.new_tensor(0.02)))
    smallest = float(values[order][min(place, len(order) - 1)]) if extremes is None else extremes.smallest
    losses: tuple[list[float], list[float], list[float]] = ([], [], [])
    for _ in range(updates):
        current = replace(code, tau=tau, delay=delay)
        found = current.quantize(values)
        assert found.spikes is not None
        decoded, fired = found.values, found.spikes > 0
        time = delay - tau * decoded.clamp(min=1e-300).log()
        low, high = math.exp(-(steps - delay) / tau), math.exp(delay / tau)
        largest = float(decoded.max()) if bool(fired.any()) else float(values.max())
        if extremes is not None:
            largest = extremes.largest
        losses[0].append(float((share * (values - decoded).square()).sum()) / 2)
        losses[1].append((smallest - low) ** 2 / 2)
        losses[2].append((largest - high) ** 2 / 2)
        fired_share = float(share[fired].sum())
        slope = (values - decoded) * decoded * (time - delay) * share
        precision = float(slope[fired].sum()) / max(fired_share, 1e-300)
        change = (10.0 * precision + 100.0 * (smallest - low) * low * (steps - delay)) / tau**2
        delay += (largest - high) * high / tau
        tau += change
        if not 0.0 < tau < 1e6:
            raise ConfigurationError(f"TTFS: the gradient drove tau to {tau:.3g}; start nearer to steps / 4")
    return KernelOptimization(replace(code, tau=tau, delay=delay), *(tuple(loss) for loss in losses))
