"""Compiled kernels: native code that takes a job, shared among the threads of torch."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

#: Values that a thread takes at least: to wake one takes as long as a few thousand.
_SHARE = 2**15
_STARTED_IN = os.getpid()


class Native:
    """A compiled function of a job; threads that are given the same job take parts of it in turn.

    Args:
        keeping: What must stay alive for the code to stay.
        address: Where the code is: ``void (*)(job *)``.
        job: What it is told, a structure of numpy.
    """

    def __init__(self, keeping: Any, address: int, job: np.dtype[Any]) -> None:
        self._keeping, self._address, self.job = keeping, address, job
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)  # without Python's lock

    @classmethod
    def of(cls, function: Callable[..., None], job: np.dtype[Any]) -> Native:
        """``function`` of a pointer to ``job``, compiled, and kept on disk where some folder can be written to."""
        from numba import cfunc, from_dtype, types

        # Its cache goes by the file of the function alone; a field of this name tells changes in others.
        named = np.dtype([*job.descr, (f"made_of_{_sources()}", np.int8)])
        compiler = functools.partial(cfunc, types.void(types.CPointer(from_dtype(named))))
        try:
            compiled = compiler(cache=True)(function)
        except (OSError, RuntimeError):  # no such folder: it is compiled in every process
            compiled = compiler()(function)
        return cls(compiled, compiled.address, job)

    def __call__(self, job: np.ndarray[Any, Any], threads: int) -> None:
        """Do ``job``, an array of one, on this thread and ``threads`` - 1 others."""
        address = job.ctypes.data
        if threads == 1:
            self._call(address)
        elif (together := _openmp()) is not None:
            together(self._address, address, threads, 0)
        else:
            others = [_pool().submit(self._call, address) for _ in range(threads - 1)]
            self._call(address)
            for other in others:
                other.result()


def places_of(job: np.dtype[Any]) -> dict[str, int]:
    """Where the fields of a job are among its numbers, each of which takes eight bytes."""
    return {name: offset // 8 for name, (_, offset, *_) in (job.fields or {}).items()}


def threads_for(values: int) -> int:
    """On how many threads to compute ``values``: on torch's, but on none that would have little to do.

    On one in a forked process, which has none of its parent's, and could not wait for them.
    """
    return max(1, min(torch.get_num_threads(), values // _SHARE)) if os.getpid() == _STARTED_IN else 1


@functools.cache
def _sources() -> str:
    """A digest of this folder's files."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


@functools.cache
def _openmp() -> Callable[..., None] | None:
    """GNU OpenMP's entry, of the very threads that torch computes on: others would wait for these to fall asleep."""
    found = getattr(ctypes.CDLL(torch._C.__file__), "GOMP_parallel", None)
    if found is not None:
        found.argtypes, found.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint], None
    return found


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="snnconv-kernel")
