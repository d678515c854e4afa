"""Codes with all their parameters."""

from __future__ import annotations

import torch

from coding import CODES, Code
from coding.fit import fit


def fitted(code: str) -> Code:
    """The code of this name with all its parameters."""
    spread = torch.linspace(0.0, 1.0, 101)
    return fit(CODES[code](), spread, torch.ones_like(spread))  # type: ignore[call-arg]
