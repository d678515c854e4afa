"""Samples of a file, in the precision of a model and in batches."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from snnconv.cli.console import errors
from snnconv.data.batches import as_inputs
from snnconv.data.files import load_samples
from snnconv.data.shapes import Shape
from snnconv.errors import ConfigurationError, InputError
from snnconv.network import SpikingNetwork

Batch = tuple[Tensor, Tensor | None]


def samples_of(path: Path, limit: int | None) -> Batch:
    """Inputs and targets of the file ``path``, the first ``limit`` samples of them.

    Raises what ``load_samples`` does, and ``InputError`` where there is not one target a sample.
    """
    inputs, targets = load_samples(path)
    if inputs.dim() == 0:  # which is refused by whoever takes samples
        return inputs, targets
    if targets is not None and (targets.dim() == 0 or len(targets) != len(inputs)):
        raise InputError(f"{path}: {len(inputs)} inputs and {len(targets) if targets.dim() else 'one'} targets")
    return inputs[:limit], None if targets is None else targets[:limit]


def precision_of(model: nn.Module | ExportedProgram) -> torch.dtype | None:
    """The type of the real numbers of ``model``; ``None`` where it has none."""
    tensors = (model.state_dict if isinstance(model, ExportedProgram) else model.state_dict()).values()
    return next((each.dtype for each in tensors if isinstance(each, Tensor) and each.is_floating_point()), None)


def in_precision(inputs: Tensor, model: nn.Module | ExportedProgram, what: str) -> Tensor:
    """Real ``inputs`` in the precision of ``model``, as its user would cast them; a line of standard error says so.

    Integers are left as they are: what they stand for, such as 0 to 255 for 0 to 1, is not known here.
    """
    wanted = precision_of(model) or inputs.dtype
    if inputs.dtype == wanted or not inputs.is_floating_point():
        return inputs
    errors.print(f"{what}: samples of {inputs.dtype} were cast to {wanted}, the precision of the network", markup=False)
    return inputs.to(wanted)


def batches_for(
    network: SpikingNetwork, path: Path, limit: int | None, size: int, judge: str, device: str | torch.device
) -> list[Batch]:
    """The samples of ``path`` as ``network`` takes them, in its precision and on ``device``; see ``in_batches``."""
    inputs, targets = samples_of(path, limit)
    inputs = in_precision(inputs, network, "data").to(device)
    targets = None if targets is None else targets.to(device)
    return in_batches(inputs, targets, size, network.input_shapes[0], network.batch_axis, judge)


def check_size(size: int) -> None:
    """Raise ``ConfigurationError`` unless a batch may hold ``size`` samples."""
    if size < 1:
        raise ConfigurationError(f"--batch must be at least 1, got {size}")


def in_batches(
    inputs: Tensor, targets: Tensor | None, size: int, shape: Shape, axis: int | None, judge: str
) -> list[Batch]:
    """Inputs and targets, ``size`` samples at once.

    A network without a batch ``axis`` fixes its ``shape``, so it takes as many at once as that says. Whole numbers are
    integers, whatever their type in a file, unless the ``judge`` is that of values.
    """
    as_inputs(inputs, "data")
    if axis is None and shape and isinstance(shape[0], int):
        size = shape[0]
    if targets is None:
        return [(part, None) for part in torch.split(inputs, size)]
    if judge != "value" and targets.is_floating_point() and bool((targets == targets.round()).all()):
        targets = targets.to(torch.int64)
    return list(zip(torch.split(inputs, size), torch.split(targets, size), strict=True))
