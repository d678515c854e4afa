"""lava-nc 0.10 on interpreters and versions of numpy that are newer than it. Its files stay as they are."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import multiprocessing.shared_memory
import sys
import types
from typing import Any

import numpy as np
import scipy

from lava_runtime.errors import MissingLavaError


def load_lava() -> str:
    """Import lava, adapted to this interpreter; its version.

    Raises ``MissingLavaError`` where lava or a package that it needs is missing.
    """
    try:
        _import_lava()
    except ImportError as error:
        raise MissingLavaError(f"{sys.executable} cannot import lava-nc: {error}") from error
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("lava-nc")
    except PackageNotFoundError:
        return "unknown"


def _import_lava() -> None:
    original = dataclasses.dataclass

    def hashable(cls: Any = None, /, **options: Any) -> Any:
        def decorate(cls: Any) -> Any:
            return original(**({**options, "unsafe_hash": True} if cls.__name__.endswith("Encoder") else options))(cls)

        return decorate if cls is None else decorate(cls)

    # From Python 3.11 a default of a field must be hashable; lava's encoders, which it takes as defaults, are not.
    dataclasses.dataclass = hashable
    try:
        import lava.magma.compiler.var_model  # noqa: F401
    finally:
        dataclasses.dataclass = original
    _import_convolutions()
    from lava.magma.core.process.ports.ports import ReshapePort

    # numpy 2.4 has no np.reshape(newshape=...) any more
    ReshapePort.get_transform_func_fwd = lambda port: functools.partial(_reshape, shape=port.shape)
    ReshapePort.get_transform_func_bwd = lambda port: functools.partial(_reshape, shape=port.old_shape)


class _SignalsLater(types.ModuleType):
    """``scipy.signal``, imported by whoever first asks it for something."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("scipy.signal"), name)


def _import_convolutions() -> None:
    """Without what only their models in floating point need of scipy, which takes longer to import than all of lava."""
    if "scipy.signal" in sys.modules:
        return
    scipy.signal = _SignalsLater("scipy.signal")
    try:
        import lava.proc.conv.utils  # noqa: F401
    finally:
        del scipy.signal


def _reshape(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return array.reshape(shape)


def name_shared_memory(prefix: str) -> None:
    """Let the names of all shared memory start with ``prefix``, so that what a killed run leaves can be found."""
    module: Any = multiprocessing.shared_memory
    if hasattr(module, "_SHM_NAME_PREFIX") and hasattr(module, "_SHM_SAFE_NAME_LENGTH"):
        module._SHM_NAME_PREFIX = "/" + prefix
        module._SHM_SAFE_NAME_LENGTH = len(prefix) + 1 + 8
