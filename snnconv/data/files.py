"""Sample data from files: arrays named ``inputs`` and ``targets``, or one bare array of inputs."""

from __future__ import annotations

import os
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from snnconv.data.arrays import array_archive, read_array
from snnconv.data.file_kinds import SAMPLES, unreadable
from snnconv.errors import InputError

#: Names of arrays that an error gives, at most.
_NAMES = 5


def load_samples(path: str | os.PathLike[str]) -> tuple[Tensor, Tensor | None]:
    """Inputs and targets (or ``None``) from ``.npz``, ``.npy`` or ``.safetensors``; nothing is unpickled.

    Raises ``InputError`` for a file that is missing, broken, of another type, or without ``inputs``, and for one that
    claims to hold more than it does, or unpacks to too much (``array_archive``), before memory is asked for.
    """
    file, wanted = Path(path), ("inputs", "targets")
    try:
        if file.suffix == ".npz":
            with array_archive(file) as archive:
                names = list(archive)
                arrays = {name: torch.from_numpy(archive[name]) for name in wanted if name in archive}
        elif file.suffix == ".npy":
            names, arrays = ["inputs"], {"inputs": torch.from_numpy(read_array(file))}
        elif file.suffix == ".safetensors":
            with safetensors.safe_open(file, framework="pt") as tensors:
                names = list(tensors.keys())
                arrays = {name: tensors.get_tensor(name) for name in wanted if name in names}
        else:
            raise InputError(unreadable(file, SAMPLES, "they come from .npz, .npy or .safetensors files"))
    except (OSError, ValueError, TypeError, safetensors.SafetensorError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(unreadable(file, SAMPLES, getattr(error, "strerror", None) or error)) from error
    if "inputs" not in arrays:
        found = ", ".join(sorted(names)[:_NAMES]) + (", ..." if len(names) > _NAMES else "")
        reason = f"it holds {found or 'nothing'}; name the array of samples 'inputs' and its classes 'targets'"
        raise InputError(unreadable(file, SAMPLES, reason))
    return arrays["inputs"], arrays.get("targets")
