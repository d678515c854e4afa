"""Backends: what computes a kernel on a device. Torch can; numba, an extra, is faster on CPUs, Triton on GPUs."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError
from snnconv.kernels.launches import DTYPES, MOST_VALUES, Launch
from snnconv.kernels.native import Native

Backend = Literal["torch", "numba", "triton"]

_logger = logging.getLogger(__name__)
_asked_for: ContextVar[Backend | None] = ContextVar("backend", default=None)
_compiling = threading.RLock()
#: Seconds of compiling that are worth a word.
_LONG = 1.0


@contextmanager
def backend(name: Backend) -> Iterator[None]:
    """Compute by ``name`` in here, on devices that it knows; threads that are started meanwhile choose for themselves.

    Raises:
        ImportError: It is not installed.
        ConfigurationError: Triton is asked for where there is no GPU.
    """
    if name != "torch":
        importlib.import_module(name)
    if name == "triton" and not (torch.cuda.is_available() or _interpreted()):
        raise ConfigurationError(
            "triton computes on a GPU, and torch finds none here: leave the backend to snnconv, or set the environment "
            "variable TRITON_INTERPRET=1 before triton is imported, to have kernels interpreted, many times slower"
        )
    token = _asked_for.set(name)
    try:
        yield
    finally:
        _asked_for.reset(token)


def chosen(device: torch.device) -> Backend:
    """What is to compute on ``device``."""
    asked = _asked_for.get()
    if device.type == "cuda" and asked in (None, "triton"):
        return "triton"
    if device.type == "cpu" and asked in (None, "numba"):
        return "numba"
    return "triton" if device.type == "cpu" and asked == "triton" and _interpreted() else "torch"


def native(kernel: str, dtype: torch.dtype, device: torch.device) -> Native | None:
    """The compiled form of ``kernel``, a module here that names functions and their jobs by dtype in ``KERNELS``.

    ``None`` where numba is not to compute, or cannot.
    """
    return _compiled(kernel, dtype) if chosen(device) == "numba" else None


def launch(kernel: str, values: Tensor) -> Launch | None:
    """Triton's form of ``kernel``, a module here with a function ``launch``, for maps like ``values``.

    ``None`` where Triton is not to compute, or cannot.
    """
    if chosen(values.device) != "triton" or values.dtype not in DTYPES or values.numel() >= MOST_VALUES:
        return None
    found = _launch(kernel)
    return None if found is None or found.broken else found


def _interpreted() -> bool:
    """Whether kernels of Triton are interpreted, on tensors of the CPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@functools.cache
def _launch(kernel: str) -> Launch | None:
    return None if importlib.util.find_spec("triton") is None else Launch(f"{__package__}.{kernel}")


@functools.cache
def _compiled(kernel: str, dtype: torch.dtype) -> Native | None:
    with _compiling:
        if importlib.util.find_spec("numba") is None:
            return None
        start = time.perf_counter()
        try:
            module = importlib.import_module(f"{__package__}.{kernel}")
            found = Native.of(*module.KERNELS[dtype])
        except Exception as error:  # whatever a compiler may raise: torch computes the same
            _logger.warning(
                "numba cannot compile %s for this processor, so torch computes it, several times slower, with the same "
                "results: %s: %s",
                kernel,
                type(error).__name__,
                error,
            )
            return None
        seconds = time.perf_counter() - start
        if seconds > _LONG:
            _logger.info("compiled %s for this processor in %.1f s; kept for the next process", kernel, seconds)
        return found
