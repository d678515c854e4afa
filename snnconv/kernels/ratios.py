"""Ratios of two signals, as populations take them that divide one by another."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from coding.window.closed_form import memory_order
from snnconv.kernels.backends import launch, native
from snnconv.kernels.layouts import BLOCK, dense
from snnconv.kernels.native import threads_for

#: A job: addresses of the signal, of divisors and of the result, each of ``size`` values, in ``rows`` of ``width``, of
#: which threads take ``blocks`` at a time, until ``taken`` says that none is left. A row has one divisor, or ``each``
#: value its own.
JOB: np.dtype[np.void] = np.dtype(
    [(name, np.int64) for name in ("taken", "blocks", "rows", "size", "width", "each", "signal", "divisor", "result")]
)
#: Values that have one divisor, below which a kernel is given one for each.
_FEW = 16
#: Rows that a thread takes at a time have about so many values.
_AT_ONCE = 2**14


def ratio(signal: Tensor, divisor: Tensor) -> Tensor:
    """``signal / divisor``, both broadcast, where the divisor is above 0, and 0 elsewhere."""
    asked = torch.is_grad_enabled() and (signal.requires_grad or divisor.requires_grad)
    alike = (signal.dtype, signal.device) == (divisor.dtype, divisor.device)
    alike = alike and divisor.dim() <= signal.dim()
    sizes = zip(reversed(divisor.shape), reversed(signal.shape), strict=False)
    alike = alike and all(size in (1, whole) for size, whole in sizes)
    if asked or not alike or not signal.numel():
        return _ratio(signal, divisor)
    kernel, launched = native("ratios_numba", signal.dtype, signal.device), launch("ratios_triton", signal)
    if kernel is None and launched is None:
        return _ratio(signal, divisor)
    signal = dense(signal)
    result, order = torch.empty_like(signal), memory_order(signal)
    divisor = divisor.reshape([1] * (signal.dim() - divisor.dim()) + list(divisor.shape))
    inner = _same_along(divisor, order)
    width = math.prod(signal.shape[axis] for axis in inner)
    each = width < _FEW
    shape = [1 if axis in inner and not each else size for axis, size in enumerate(signal.shape)]
    row = divisor.expand(shape).permute(order).reshape(-1).contiguous()
    if kernel is None:
        done = launched is not None and launched(signal.device, signal, row, 1 if each else width, result)
        return result if done else _ratio(signal, divisor)
    width = BLOCK if each else width
    rows, threads = -(-signal.numel() // width), threads_for(signal.numel())
    places = (signal.data_ptr(), row.data_ptr(), result.data_ptr())
    kernel(np.array([0, max(1, _AT_ONCE // width), rows, signal.numel(), width, each, *places], np.int64), threads)
    return result


def _ratio(signal: Tensor, divisor: Tensor) -> Tensor:
    above = divisor > 0
    # Divided by 1 where nothing is to come out, so that gradients stay finite.
    return torch.where(above, signal / torch.where(above, divisor, 1.0), 0.0)


def _same_along(divisor: Tensor, order: list[int]) -> set[int]:
    """The axes, from the last of ``order`` on, along which a divisor stays the same."""
    found: set[int] = set()
    for axis in reversed(order):
        if divisor.shape[axis] != 1:
            break
        found.add(axis)
    return found
