"""Checkpoints with another content and a checksum that fits it, as another program might write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from snnconv.storage.signed import signature

Change = Callable[[dict[str, Any], dict[str, str], dict[str, Tensor]], object]


def altered(path: Path, change: Change) -> None:
    """Write ``path`` again after ``change`` of its content, metadata and tensors, and sign it."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    content = json.loads(metadata["manifest"])
    change(content, metadata, tensors)
    if "manifest" in metadata:
        metadata["manifest"] = json.dumps(content)
        metadata["sha256"] = signature(metadata["manifest"], tensors)
    path.write_bytes(safetensors.torch.save(tensors, metadata))
