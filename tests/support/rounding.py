"""Whether sums are rounded here as on the machine where figures that tests compare with were written."""

from __future__ import annotations

import functools
import hashlib

import torch
from torch.nn import functional

#: The digest of ``_sums`` on that machine: torch 2 on an x86-64 with AVX-512.
_WRITTEN = "43d141c1994d6308"


@functools.cache
def rounds_as_when_written() -> bool:
    """Whether sums have the same last bits as there; another processor, or torch, may add in another order."""
    return _digest() == _WRITTEN


def _digest() -> str:
    found = hashlib.sha256()
    for dtype in (torch.float32, torch.float64):
        values = (torch.arange(2 * 3 * 9 * 9, dtype=dtype) * 0.7).sin()
        weights = (torch.arange(4 * 3 * 3 * 3, dtype=dtype) * 0.3).cos()
        sums = (
            functional.conv2d(values.view(2, 3, 9, 9), weights.view(4, 3, 3, 3)),
            values.view(6, 81) @ values.view(6, 81).T,
            values.view(6, 81).sum(1),
        )
        for each in sums:
            found.update(each.numpy().tobytes())
    return found.hexdigest()[:16]
