"""Parcels: what ranks send each other as bytes. They are pickled: ranks are one program, and trust each other."""

from __future__ import annotations

import pickle
from typing import Any


def packed(value: Any) -> bytes:
    """``value`` as bytes."""
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def unpacked(content: bytes) -> Any:
    """The value that another rank has packed."""
    return pickle.loads(content)
