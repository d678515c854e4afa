"""Batches: a batch is a tensor of inputs, or (inputs, targets); several inputs are a tuple inside inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from snnconv.data.shapes import check_shapes
from snnconv.errors import InputError

Inputs = tuple[Tensor, ...]

#: Samples with this target are left out of accuracies.
IGNORED_TARGET = -100
#: Samples that are measured together.
PIECE = 256
#: How several inputs are said, for errors.
SEVERAL_INPUTS = (
    "several inputs are a tuple inside the batch, ((a, b), targets), and in place of a DataLoader of pairs "
    "[((a, b), None) for a, b in loader]"
)


def as_inputs(value: Any, what: str) -> Inputs:
    """One or several input tensors as a tuple. Raises ``InputError`` for anything that is no tensor, or empty."""
    tensors = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for position, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            cure = ": torch.from_numpy makes one of it" if isinstance(tensor, np.ndarray) else ""
            raise InputError(f"{what}: input {position} must be a tensor, got {type(tensor).__name__}{cure}")
        if tensor.layout is not torch.strided:
            raise InputError(
                f"{what}: input {position} is sparse; make it dense (.to_dense()), or name it, if it is a matrix that "
                'belongs to the network: constants={"adj": adj}'
            )
        if tensor.dim() == 0 or tensor.shape[0] == 0:
            raise InputError(f"{what}: input {position} has shape {list(tensor.shape)}; it needs at least one sample")
    if not tensors:
        raise InputError(f"{what}: there is no input")
    return tensors


def split_batch(batch: Any, what: str) -> tuple[Inputs, Tensor | None]:
    """Inputs and targets (or ``None``) of one batch."""
    if isinstance(batch, (tuple, list)):
        if len(batch) == 1:
            return as_inputs(batch[0], what), None
        if len(batch) != 2:
            raise InputError(
                f"{what}: a batch is a tensor or (inputs, targets), got {len(batch)} items; {SEVERAL_INPUTS}"
            )
        inputs, targets = batch
        if targets is not None and not isinstance(targets, Tensor):
            try:
                targets = torch.as_tensor(targets)
            except (TypeError, ValueError, RuntimeError) as error:
                raise InputError(f"{what}: targets must be class indices, got {type(targets).__name__}") from error
        return as_inputs(inputs, what), targets
    return as_inputs(batch, what), None


def batches(data: Any, what: str) -> Iterator[tuple[Inputs, Tensor | None]]:
    """The batches of ``data``: one tensor, one (inputs, targets) tuple, or an iterable of batches such as a DataLoader.

    Raises ``InputError`` where there is none or one cannot be used.
    """
    if isinstance(data, (Tensor, tuple)):
        items: Iterable[Any] = [data]
    elif isinstance(data, Iterable):
        items = data
    else:
        cure = (
            f"; DataLoader(data, batch_size={PIECE}) makes batches of a data set" if isinstance(data, Dataset) else ""
        )
        raise InputError(
            f"{what} must be a tensor, (inputs, targets), or an iterable of batches, got {type(data).__name__}{cure}"
        )
    empty = True
    for batch in items:
        empty = False
        yield split_batch(batch, what)
    if empty:
        raise InputError(f"{what} is empty: there is not one batch")


def pieces(inputs: Inputs, targets: Tensor | None, batch_axis: int | None) -> Iterator[tuple[Inputs, Tensor | None]]:
    """A batch in pieces of ``PIECE`` samples, so that a whole data set may come as one; whole without a batch axis.

    Raises ``InputError`` where inputs and targets are not as many.
    """
    if batch_axis is None:
        yield inputs, targets
        return
    counts = [tensor.shape[:1] for tensor in (*inputs, *([] if targets is None else [targets]))]
    if any(count != counts[0] for count in counts):
        listed = [count[0] if count else "one" for count in counts]
        samples = ", ".join(map(str, listed[: len(inputs)]))
        rest = "" if targets is None else f" and {listed[-1]} targets"
        raise InputError(f"data: {samples} inputs{rest}; a batch holds as many of each as it has samples")
    for start in range(0, inputs[0].shape[0], PIECE):
        cut = slice(start, start + PIECE)
        yield tuple(tensor[cut] for tensor in inputs), None if targets is None else targets[cut]


def number_of_batches(data: Any) -> int | None:
    """How many batches ``batches(data)`` gives; ``None`` where ``data`` does not say."""
    if isinstance(data, (Tensor, tuple)):
        return 1
    try:
        return len(data)
    except Exception:  # such as a DataLoader of a data set without a length: it can be iterated all the same
        return None


def number_of_samples(data: Any, batch_axis: int | None) -> int | None:
    """How many samples all batches of ``data`` hold; ``None`` where only reading them would tell.

    Without a batch axis every batch is one sample.
    """
    if batch_axis is None:
        return number_of_batches(data)
    if isinstance(data, DataLoader):
        try:
            samples = len(data.sampler)  # type: ignore[arg-type]
        except Exception:  # of a data set without a length
            return None
        size = data.batch_size
        return None if size is None else samples // size * size if data.drop_last else samples
    if isinstance(data, (Tensor, tuple, list)):
        parts = batches(data, "data")
        return sum(inputs[0].shape[0] for inputs, _ in parts)
    return None


def check_like(
    inputs: Sequence[Tensor],
    shapes: Sequence[Sequence[int | str]],
    types: Sequence[torch.dtype],
    device: torch.device,
    what: str,
) -> None:
    """Raise ``InputError`` unless ``inputs`` fit a network: number, shapes (named axes are free), types, device."""
    if len(inputs) != len(shapes):
        raise InputError(f"{what}: the network takes {len(shapes)} inputs, got {len(inputs)}; {SEVERAL_INPUTS}")
    check_shapes([tensor.shape for tensor in inputs], shapes, what)
    for position, (tensor, dtype) in enumerate(zip(inputs, types, strict=True)):
        name = f"{what}: input {position}"
        if tensor.shape[0] == 0:
            raise InputError(f"{name} has no samples")
        if tensor.dtype != dtype and not dtype.is_floating_point:
            raise InputError(
                f"{name} is {tensor.dtype}, and the network takes whole numbers there, {dtype}: give the numbers of "
                f"tokens, or masks, as it was converted with them: .to({dtype}) if they are whole"
            )
        if tensor.dtype != dtype:
            raise InputError(f"{name} is {tensor.dtype}, the network is {dtype}; convert it with .to({dtype})")
        if tensor.device != device:
            raise InputError(f"{name} is on {tensor.device}, the network is on {device}; move one of them")
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{name} holds NaN or infinite values")
