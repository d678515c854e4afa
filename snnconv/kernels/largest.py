"""Where the largest of some values is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from snnconv.kernels.backends import launch, native
from snnconv.kernels.native import threads_for

#: A job: addresses of ``rows`` of ``width`` values and of a place for each, and how many rows threads take at a time,
#: until ``taken`` says that none is left.
JOB: np.dtype[np.void] = np.dtype(
    [(name, np.int64) for name in ("taken", "blocks", "rows", "width", "values", "places")]
)
#: Rows that a thread takes at a time have about so many values.
_AT_ONCE = 2**14


def place_of_largest(values: Tensor) -> Tensor:
    """Where the largest of ``values`` is along the last axis, which stays with length one: the first of equal ones.

    What is no number is larger than all others.
    """
    if not values.numel() or not values.is_contiguous():
        return values.argmax(-1, keepdim=True)
    kernel, launched = native("largest_numba", values.dtype, values.device), launch("largest_triton", values)
    places = values.new_empty((*values.shape[:-1], 1), dtype=torch.int64)
    if kernel is not None:
        width = values.shape[-1]
        job = [0, max(1, _AT_ONCE // width), places.numel(), width, values.data_ptr(), places.data_ptr()]
        kernel(np.array(job, np.int64), threads_for(values.numel()))
    elif launched is None or not launched(values.device, values, places):
        return values.argmax(-1, keepdim=True)
    return places
