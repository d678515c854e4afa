"""Ratios of two signals on a CPU, compiled by numba: one pass over memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import carray, njit

from snnconv.kernels.numba_memory import at, next_part
from snnconv.kernels.ratios import JOB


@njit(error_model="numpy")
def _divide(pointer: Any, real: Any) -> None:
    job, zero = carray(pointer, 1)[0], real(0.0)
    size, width = job.size, job.width
    signal, result = carray(at(job.signal, real), size), carray(at(job.result, real), size)
    divisors = carray(at(job.divisor, real), size if job.each else job.rows)
    while True:
        first = next_part(pointer) * job.blocks
        if first >= job.rows:
            return
        for row in range(first, min(job.rows, first + job.blocks)):
            start, end = row * width, min(size, (row + 1) * width)
            given, found = signal[start:end], result[start:end]
            if job.each:
                own = divisors[start:end]
                for i in range(end - start):
                    quotient = given[i] / own[i]
                    found[i] = quotient if own[i] > zero else zero
            elif divisors[row] > zero:
                divisor = divisors[row]
                for i in range(end - start):
                    found[i] = given[i] / divisor
            else:
                found[:] = zero


def _single(job: Any) -> None:
    _divide(job, np.float32)


def _double(job: Any) -> None:
    _divide(job, np.float64)


KERNELS = {torch.float32: (_single, JOB), torch.float64: (_double, JOB)}
