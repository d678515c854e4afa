"""Samples of a file in batches."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconv.data.batches import as_inputs
from snnconv.data.shapes import Shape
from snnconv.errors import ConfigurationError, InputError

Batch = tuple[Tensor, Tensor | None]


def check_size(size: int) -> None:
    """Raise ``ConfigurationError`` unless a batch may hold ``size`` samples."""
    if size < 1:
        raise ConfigurationError(f"--batch must be at least 1, got {size}")


def in_batches(
    inputs: Tensor, targets: Tensor | None, size: int, shape: Shape, axis: int | None, judge: str
) -> list[Batch]:
    """Inputs and targets, ``size`` samples at once.

    A network without a batch ``axis`` fixes its ``shape``, so it takes as many at once as that says. Whole numbers are
    integers, whatever their type in a file, unless the ``judge`` is that of values. Raises ``InputError`` where there
    is not one target a sample.
    """
    as_inputs(inputs, "data")
    if axis is None and shape and isinstance(shape[0], int):
        size = shape[0]
    if targets is None:
        return [(part, None) for part in torch.split(inputs, size)]
    if targets.dim() == 0 or len(targets) != len(inputs):
        raise InputError(f"data: {len(inputs)} inputs and {len(targets) if targets.dim() else 'one'} targets")
    if judge != "value" and targets.is_floating_point() and bool((targets == targets.round()).all()):
        targets = targets.to(torch.int64)
    return list(zip(torch.split(inputs, size), torch.split(targets, size), strict=True))
