"""Targets that fit an output: class indices, labels of 0 and 1, and values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from snnconv.data.batches import IGNORED_TARGET
from snnconv.errors import InputError


def alike(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether tensors of these shapes hold as many numbers of every sample, an axis 1 of size 1 aside."""
    return _without_single_axis(one) == _without_single_axis(other)


def class_indices(targets: Tensor, shape: Sequence[int], classes: int | None, ignore_index: int) -> Tensor:
    """``targets`` as integers in the ``shape`` of decisions among ``classes``, ``IGNORED_TARGET`` where left out.

    ``classes`` is ``None`` where nothing says how many there are, as of decisions that the network itself puts out.

    Raises ``InputError`` for targets that are no integers, of another shape, or no class.
    """
    if targets.is_floating_point() or targets.is_complex():
        raise InputError(f"data: targets are {targets.dtype}; they must be class indices, which are integers")
    if not alike(targets.shape, shape):
        raise InputError(
            f"data: targets have shape {list(targets.shape)}, decisions have {list(shape)}; targets are class indices"
        )
    return _in_range(targets.long().reshape(tuple(shape)), classes, ignore_index)


def labels(targets: Tensor, shape: Sequence[int], ignore_index: int) -> Tensor:
    """``targets`` of 0 and 1, integers or not, in the ``shape`` of an output; ``IGNORED_TARGET`` where left out.

    Raises ``InputError`` for targets of another shape or with other numbers.
    """
    if not alike(targets.shape, shape):
        raise InputError(
            f"data: targets have shape {list(targets.shape)}, the output has {list(shape)}; give a 0 or 1 "
            "for every label"
        )
    if targets.is_complex() or not are_labels(targets, ignore_index):
        raise InputError(
            "data: targets are not only 0 and 1, so they are no labels; if they are values, say "
            "judge=snnconv.ValueJudge()"
        )
    return _in_range(targets.long().reshape(tuple(shape)), 2, ignore_index)


def values(targets: Tensor, shape: Sequence[int]) -> Tensor:
    """``targets`` as numbers in double precision in the ``shape`` of an output. Raises ``InputError``."""
    if targets.is_complex() or not alike(targets.shape, shape):
        raise InputError(
            f"data: targets are {targets.dtype} of shape {list(targets.shape)}, the values of the output have shape "
            f"{list(shape)}; give one for every value. Where the output holds class scores they must be class indices, "
            "which are integers"
        )
    if not bool(torch.isfinite(targets).all()):
        raise InputError("data: targets hold NaN or infinite values")
    return targets.double().reshape(tuple(shape))


def are_labels(targets: Tensor, ignore_index: int = IGNORED_TARGET) -> bool:
    """Whether ``targets`` are 0 and 1 throughout, what is left out aside."""
    return bool(((targets == 0) | (targets == 1) | (targets == ignore_index)).all())


def _in_range(targets: Tensor, classes: int | None, ignore_index: int) -> Tensor:
    targets = torch.where(targets == ignore_index, IGNORED_TARGET, targets)
    counted = targets[targets != IGNORED_TARGET]
    if classes is not None and counted.numel() and bool(((counted < 0) | (counted >= classes)).any()):
        low, high = int(counted.min()), int(counted.max())
        raise InputError(
            f"data: targets lie between {low} and {high}, the network tells the classes 0 to {classes - 1} apart; "
            f"count classes from 0, and give what is to be left out the target {IGNORED_TARGET}, or say which target "
            f"that is, such as ignore_index={low if low < 0 else high}"
        )
    return targets


def _without_single_axis(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(shape) if len(shape) < 2 or shape[1] != 1 else (shape[0], *shape[2:])
