"""Who computes kernels in tests: numba on the CPU, Triton on a GPU where torch finds one, else in its interpreter.

The interpreter computes as numpy does, which rounds as a GPU does that fuses nothing; it takes milliseconds for every
instruction, so that it is given one layout where others are given all.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import pytest
import torch

from snnconv.kernels import launches
from snnconv.kernels.backends import Backend, backend

_Each = TypeVar("_Each")

ON_GPU = torch.cuda.is_available()
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="triton is not installed: it comes with torch for CUDA, on Linux"
)
#: Those that are compared with torch.
COMPILERS = ["numba", pytest.param("triton", marks=needs_triton)]


def interpreted(name: Backend) -> bool:
    """Whether a backend is no compiler here."""
    return name == "triton" and not ON_GPU


def device_of(name: Backend) -> torch.device:
    """Where a backend computes."""
    return torch.device("cuda" if name == "triton" and ON_GPU else "cpu")


@contextmanager
def computed_by(name: Backend, values: int = 2**14) -> Iterator[None]:
    """Compute by a backend in here; in its interpreter a program of Triton takes so many ``values``, a power of two."""
    before = launches.BLOCK
    if interpreted(name):
        launches.BLOCK = values
    try:
        with backend(name), np.errstate(all="ignore"):
            yield
    finally:
        launches.BLOCK = before


def some_of(choices: Sequence[_Each], name: Backend, case: int) -> Sequence[_Each]:
    """All ``choices``, or one of them, another one for the next ``case``, for the interpreter."""
    return [choices[case % len(choices)]] if interpreted(name) else choices
