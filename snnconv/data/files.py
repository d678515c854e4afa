"""Sample data from files: arrays named ``inputs`` and ``targets``, or one bare array of inputs."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from snnconv.data.file_kinds import SAMPLES, unreadable
from snnconv.errors import InputError

#: What numpy and the archives below it raise for broken files; RuntimeError is for encrypted ones, and for compression
#: that is unknown.
UNREADABLE = (OSError, EOFError, ValueError, TypeError, AttributeError, RuntimeError, BadZipFile, zlib.error)

#: Names of arrays that an error gives, at most.
_NAMES = 5


def load_samples(path: str | os.PathLike[str]) -> tuple[Tensor, Tensor | None]:
    """Inputs and targets (or ``None``) from ``.npz``, ``.npy`` or ``.safetensors``; nothing is unpickled.

    Raises ``InputError`` for a file that is missing, broken, of another type, or without ``inputs``.
    """
    file = Path(path)
    try:
        if file.suffix == ".npz":
            # Opened here, because numpy leaves a file open that turns out to be no archive.
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                arrays = {name: torch.from_numpy(archive[name]) for name in archive.files}
        elif file.suffix == ".npy":
            arrays = {"inputs": torch.from_numpy(np.load(file, allow_pickle=False))}
        elif file.suffix == ".safetensors":
            arrays = safetensors.torch.load_file(file)
        else:
            raise InputError(unreadable(file, SAMPLES, "they come from .npz, .npy or .safetensors files"))
    except (*UNREADABLE, safetensors.SafetensorError) as error:
        if isinstance(error, InputError):
            raise
        reason = "it holds Python objects, not numbers" if "allow_pickle" in str(error) else error
        raise InputError(unreadable(file, SAMPLES, reason)) from error
    if "inputs" not in arrays:
        found = ", ".join(sorted(arrays)[:_NAMES]) + (", ..." if len(arrays) > _NAMES else "")
        reason = f"it holds {found or 'nothing'}; name the array of samples 'inputs' and its classes 'targets'"
        raise InputError(unreadable(file, SAMPLES, reason))
    return arrays["inputs"], arrays.get("targets")
