"""What the project reads from files: an example of each format, its reader, and how its content is altered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnconv import SnnconvError
from snnconv.data.file_kinds import FileKind
from tests.fuzz.mutation.octets import altered_bytes

#: Makes a mutant of a file's content.
Alteration = Callable[[bytes, Random], bytes]


@dataclass(frozen=True)
class FileFormat:
    """A format of files that the project reads.

    ``make`` writes the example ``file`` into a folder, and what stands beside it; ``read`` gives what the project makes
    of the file at a path, and uses it once. ``opens`` are the modules that open such files. ``alterations`` keep the
    file sound: checksums fit again, so that readers believe the content; ``unsigned`` ones do not, and what a
    ``signed`` format says may not change by them. ``bomb`` makes the content claim gigabytes. ``refusals`` are what a
    reader may raise.
    """

    name: str
    file: str
    make: Callable[[Path], object]
    read: Callable[[Path], Any]
    opens: tuple[str, ...]
    alterations: tuple[Alteration, ...]
    kind: FileKind | None = None
    signed: bool = False
    bomb: Callable[[bytes], bytes] | None = None
    unsigned: tuple[Alteration, ...] = (altered_bytes,)
    refusals: tuple[type[Exception], ...] = (SnnconvError,)


def fingerprint(value: Any) -> str:
    """A digest that two values share if they say the same."""
    digest = hashlib.sha256()
    _add(digest, value)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    if isinstance(value, nn.Module):
        value = [repr(value), dict(value.state_dict())]
    if isinstance(value, Tensor):
        value = value.detach().to_dense() if value.layout is not torch.strided else value.detach()
        value = value.contiguous().float().numpy() if value.dtype == torch.bfloat16 else value.contiguous().numpy()
    digest.update(f"<{type(value).__name__}>".encode())
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype} {value.shape}".encode() + value.tobytes())
    elif isinstance(value, Mapping):
        for key in value:
            _add(digest, key)
            _add(digest, value[key])
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for each in value:
            _add(digest, each)
    elif is_dataclass(value):
        for field in fields(value):
            _add(digest, getattr(value, field.name))
    else:
        digest.update(value if isinstance(value, bytes) else repr(value).encode())


def safetensors_parts(content: bytes) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file."""
    import safetensors.torch

    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return header.get("__metadata__", {}), safetensors.torch.load(content)
