"""Where the largest of some values is, on a CPU, compiled by numba: bits of a float, read as integers, order it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import carray, njit

from snnconv.kernels.largest import JOB
from snnconv.kernels.layouts import BLOCK
from snnconv.kernels.numba_memory import at, next_part


@njit(error_model="numpy")
def _find(pointer: Any, real: Any, integer: Any, bits: Any, most: Any) -> None:
    job = carray(pointer, 1)[0]
    width, zero = job.width, real(0.0)
    values, places = carray(at(job.values, real), job.rows * width), carray(at(job.places, np.int64), job.rows)
    numbers, ranks = np.empty(BLOCK, real), np.empty(BLOCK, integer)
    of = numbers.view(integer)
    while True:
        first = next_part(pointer) * job.blocks
        if first >= job.rows:
            return
        for row in range(first, min(job.rows, first + job.blocks)):
            best, place = -most - integer(1), 0
            for start in range(0, width, BLOCK):
                length = min(BLOCK, width - start)
                given = values[row * width + start : row * width + start + length]
                for i in range(length):
                    numbers[i] = given[i] + zero  # -0 is as large as 0
                highest = -most - integer(1)
                for i in range(length):
                    rank = of[i] ^ ((of[i] >> bits) & most)
                    rank = rank if numbers[i] == numbers[i] else most
                    ranks[i] = rank
                    highest = max(highest, rank)
                if highest > best:
                    found = integer(length)
                    for i in range(length):
                        found = min(found, integer(i) if ranks[i] == highest else integer(length))
                    best, place = highest, start + found
            places[row] = place


def _single(job: Any) -> None:
    _find(job, np.float32, np.int32, np.int32(31), np.int32(2**31 - 1))


def _double(job: Any) -> None:
    _find(job, np.float64, np.int64, np.int64(63), np.int64(2**63 - 1))


KERNELS = {torch.float32: (_single, JOB), torch.float64: (_double, JOB)}
