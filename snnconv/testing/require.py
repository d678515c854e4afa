"""How a check says what is broken."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor


def require(kept: bool, promise: str) -> None:
    """Raise ``AssertionError`` with ``promise`` unless it is ``kept``."""
    if not kept:
        raise AssertionError(promise)


def require_close(found: Tensor, expected: Tensor, promise: str, tolerance: float = 1e-10) -> None:
    """Raise ``AssertionError`` with ``promise`` unless both tensors are equal up to rounding in double precision."""
    shapes = found.shape == expected.shape
    require(shapes, f"{promise}: shapes {tuple(found.shape)} and {tuple(expected.shape)}")
    worst = float((found - expected).abs().max()) if found.numel() else 0.0
    limit = tolerance * (1.0 + float(expected.abs().max()) if expected.numel() else 1.0)
    require(worst <= limit, f"{promise}: off by {worst:.3g}")


def require_frozen(value: object) -> None:
    """Raise ``AssertionError`` unless ``value`` is a frozen dataclass, which alone can be compared and stored."""
    parameters = getattr(value, "__dataclass_params__", None)
    frozen = parameters is not None and parameters.frozen
    require(frozen, f"{type(value).__name__} must be a dataclass with frozen=True: what is stored and compared")


def require_stored(value: Any) -> None:
    """Raise ``AssertionError`` unless ``value`` comes back from what a file holds of it, its fields as JSON."""
    what = type(value).__name__
    try:
        text = json.dumps({field.name: getattr(value, field.name) for field in fields(value)})
    except TypeError as error:
        raise AssertionError(f"{what}: fields must be numbers, text or tuples of numbers, to be stored") from error
    require(type(value)(**json.loads(text)) == value, f"{what}: its fields, stored and read, must make its equal")


def drawn(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Integers from -4 to 4, of which sums are exact."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 5, shape, generator=generator).to(dtype)
