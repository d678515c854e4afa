"""Backends: what computes a kernel on a device. Torch can always; numba, an extra, is faster on CPUs."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import torch

from snnconv.kernels.native import Native

Backend = Literal["torch", "numba"]

_logger = logging.getLogger(__name__)
_asked_for: ContextVar[Backend | None] = ContextVar("backend", default=None)
_compiling = threading.RLock()
#: Seconds of compiling that are worth a word.
_LONG = 1.0


@contextmanager
def backend(name: Backend) -> Iterator[None]:
    """Compute by ``name`` in here; threads that are started meanwhile choose for themselves.

    Raises ``ImportError`` where numba is asked for and is not installed.
    """
    if name == "numba":
        importlib.import_module("numba")
    token = _asked_for.set(name)
    try:
        yield
    finally:
        _asked_for.reset(token)


def native(kernel: str, dtype: torch.dtype, device: torch.device) -> Native | None:
    """The compiled form of ``kernel``, a module here that names functions and their jobs by dtype in ``KERNELS``.

    ``None`` where torch is to compute.
    """
    if device.type != "cpu" or _asked_for.get() == "torch":
        return None
    return _compiled(kernel, dtype)


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
