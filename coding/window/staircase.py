"""The staircase of a window code: which values share a decoded value, for sums over many codes and many values."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coding.kept import Kept
from coding.neural_code import Code
from coding.threshold import tie_tolerance
from coding.window.closed_form import WindowTable
from coding.window.window_code import WindowCode, table_of

Array = NDArray[Any]
#: Values that a staircase may have: with more, windows are sooner run step by step.
MOST_VALUES = 2**12
#: Staircases that are kept, since a scan asks for the same codes for every population, and the bytes they may take.
_KEPT, _KEPT_BYTES = 4096, 2**25


class Staircase(NamedTuple):
    """What a window makes of values: ``values[i]`` of all from ``lowest[i]`` up to ``lowest[i + 1]``, in rising order.

    In units of the code's full scale. The lowest of all is -inf.
    """

    lowest: Array
    values: Array


@partial(Kept, most=_KEPT, limit=_KEPT_BYTES, size=lambda found: 0 if found is None else 2 * found.values.nbytes)
def staircase_of(code: Code) -> Staircase | None:
    """The staircase of ``code`` in double precision; ``None`` for what is no window code, or has too many values."""
    if not isinstance(code, WindowCode):
        return None
    found = _staircase(table_of(code), tie_tolerance(torch.float64))
    return None if found is None else Staircase(*(part / code.full_scale for part in found))


def _staircase(table: WindowTable, tolerance: float) -> Staircase | None:
    """The trains of ``closed_form.trains``, all that have as many spikes at once, with the values that have them."""
    payloads, rows = np.array(table.payloads), np.array(table.bounds(tolerance))
    steps = np.arange(len(payloads))
    most = len(payloads) if table.limit is None else table.limit
    # Residuals in [low, high) from a step on, after spikes that are worth value.
    low, high, value, step = np.array([-np.inf]), np.array([np.inf]), np.zeros(1), np.zeros(1, dtype=np.int64)
    parts, number = [], 0
    for fired in range(most + 1):
        if fired < most:
            later = steps >= step[:, None]
            reached = np.where(later, np.maximum(rows[min(fired, len(rows) - 1)], low[:, None]), np.inf)
            below = np.minimum(np.minimum.accumulate(reached, 1), high[:, None])  # of what no step up to this takes
            above = np.concatenate([high[:, None], below[:, :-1]], 1)
            silent = below[:, -1] > low
        else:
            silent = np.ones(len(low), dtype=bool)
        parts.append((low[silent] + value[silent], value[silent]))
        number += len(parts[-1][1])
        if fired == most or number > MOST_VALUES:
            break
        node, at = np.nonzero(later & (reached < above))
        low, high = reached[node, at] - payloads[at], above[node, at] - payloads[at]
        value, step = value[node] + payloads[at], at + 1
    if number > MOST_VALUES:
        return None
    lowest, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(lowest, kind="stable")
    return Staircase(lowest[order], values[order])


def decoded(code: Code, values: Tensor) -> Tensor:
    """What windows of ``code`` make of ``values`` of any shape: step by step, without tables for a single call."""
    return Code.quantize(code, values).values if isinstance(code, WindowCode) else code.quantize(values).values
