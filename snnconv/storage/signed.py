"""Signed files: tensors and a text in safetensors with the SHA-256 of both, read without pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from snnconv.data.file_kinds import FileKind


class AlteredError(Exception):
    """The content of a file is not what was signed."""


def signature(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of ``text``, and of the names, types, shapes and bytes of ``tensors``, which are on the CPU."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def signed(kind: FileKind, version: int, text: str, tensors: Mapping[str, Tensor]) -> bytes:
    """The content of a file of ``kind`` with ``text`` and ``tensors``."""
    # Cloned, because tensors of one storage cannot be saved.
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {
        "format": kind.format,
        "version": str(version),
        "manifest": text,
        "sha256": signature(text, copies),
    }
    return safetensors.torch.save(copies, metadata)


def read_signed(path: Path, check: Callable[[Mapping[str, str]], int]) -> tuple[int, str, dict[str, Tensor]]:
    """The version, the text and the tensors of the file ``path``, which are what was signed.

    ``check`` makes the version of its metadata, or raises for another kind of file. Raises ``AlteredError`` where the
    signature is another, and ``OSError`` or ``SafetensorError`` where the file cannot be read.
    """
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        version = check(metadata)
        # Cloned into memory as aligned as that of any tensor: where it is not, convolutions round otherwise.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
    text = metadata.get("manifest", "")
    if metadata.get("sha256") != signature(text, tensors):
        raise AlteredError("it was altered after it was saved: its checksum does not match")
    return version, text, tensors
