"""The digest of a bundle, by which an altered one is known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def digest(manifest: str, arrays: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> str:
    """SHA-256 of a manifest's text and of all arrays with their names, types and shapes, in hexadecimal digits."""
    found = hashlib.sha256(manifest.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype.name} {list(array.shape)}".encode())
        found.update(array.tobytes())
    return found.hexdigest()
