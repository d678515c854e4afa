"""The file of a sweep: what was measured so far, with which snnconv, and digests of the model and data."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from snnconv.data.batches import batches
from snnconv.errors import ConfigurationError, StorageError
from snnconv.files import write_whole
from snnconv.graph import Graph
from snnconv.sparse import is_sparse, to_parts

FORMAT, VERSION = "snnconv sweep", 1


class SweepFile:
    """Entries by label, each a mapping ready for JSON, and what all of them have in common, by name.

    ``path=None`` is a file that is never written. Raises ``StorageError`` for a file that is broken, in a future
    format, or with figures of another version of snnconv, another model, other data or other options; a file without
    figures, such as one that a mistaken option left behind, is begun again.
    """

    def __init__(self, path: str | os.PathLike[str] | None, common: Mapping[str, str]) -> None:
        self.path = None if path is None else Path(path)
        self.common = dict(common)
        self.entries: dict[str, dict[str, Any]] = {}
        if self.path is not None and os.path.exists(self.path):  # Path.exists raises for names that cannot be
            found, self.entries = read(self.path)
            differing = [name for name, text in self.common.items() if found.get(name) != text]
            if differing and not any("figures" in entry for entry in self.entries.values()):
                self.entries = {}
            elif differing:
                raise StorageError(
                    f"{self.path} holds a sweep with another {' and another '.join(differing)}; results of both would "
                    "be mixed: take another path, or delete the file. (Data that a loader shuffles or alters at random "
                    "counts as other data each time.)"
                )
        self._write()  # before the first measurement, so that a path that cannot be written costs none

    def add(self, label: str, entry: Mapping[str, Any]) -> None:
        """Set the entry of ``label`` and write the file, whole or not at all."""
        self.entries[label] = dict(entry)
        self._write()

    def _write(self) -> None:
        if self.path is None:
            return
        content = {"format": FORMAT, "version": VERSION, "common": self.common, "results": self.entries}
        write_whole(self.path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """What the results in ``path`` have in common, and the entries by label. Raises ``StorageError``."""
    source = Path(path)
    try:
        content = json.loads(source.read_bytes(), parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except OSError as error:
        raise StorageError(f"{source} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise broken(source, error) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise broken(source, "it is JSON, but not the file of a sweep")
    version = content.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise broken(source, f"its version is {version!r}")
    if version > VERSION:
        raise StorageError(
            f"{source} has format version {version}, this snnconv reads up to {VERSION}: update snnconv to read it"
        )
    common, entries = content.get("common"), content.get("results")
    if not isinstance(common, dict) or not isinstance(entries, dict):
        raise broken(source, "it lacks its results")
    if not all(isinstance(entry, dict) for entry in entries.values()):
        raise broken(source, "a result is no mapping")
    return common, entries


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no figure")
    return number


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError(f"{text[:20]}... is no figure")
    return number


def broken(path: str | os.PathLike[str], why: object) -> StorageError:
    """The error for a file that holds no sweep."""
    return StorageError(f"{path} holds no valid sweep: {why}; delete it or take another path, and measure again")


def data_digest(data: Any, what: str) -> str:
    """Digest of all inputs and targets in their order; it does not depend on how they are cut into batches."""
    hashes: dict[str, Any] = {}
    for inputs, targets in batches(data, what):
        columns = {f"input {position}": tensor for position, tensor in enumerate(inputs)}
        for name, tensor in {**columns, **({} if targets is None else {"targets": targets})}.items():
            key = f"{name} {list(tensor.shape[1:])} {tensor.dtype}"
            hashes.setdefault(key, hashlib.blake2b(digest_size=16)).update(_bytes(tensor))
    lines = [f"{key} {column.hexdigest()}" for key, column in sorted(hashes.items())]
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


def graph_digest(graph: Graph) -> str:
    """Digest of the function that ``graph`` computes: its operations and its constants, wherever they were written."""
    digest = hashlib.blake2b(digest_size=16)
    head = [f"{list(graph.inputs)} {graph.output!r} {graph.batch_axis}"]
    for line in (*head, *(f"{node.name} {node.op} {dict(node.arguments)!r}" for node in graph.nodes.values())):
        digest.update(line.encode())
    for name, tensor in sorted(graph.constants.items()):
        _add(digest, name, tensor)
    return digest.hexdigest()


def weights_digest(model: nn.Module) -> str:
    """Digest of a module's type, structure and weights."""
    digest = hashlib.blake2b(f"{type(model).__qualname__} {model!r}".encode(), digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        if isinstance(tensor, Tensor):
            _add(digest, name, tensor)
    return digest.hexdigest()


def option_text(name: str, value: Any, file: str = "path") -> str:
    """An option as text that is equal for equal options, in another process too.

    ``file`` is the argument that has a run kept and resumed. Raises ``ConfigurationError`` for what cannot be told from
    another, such as a lambda or a neuron around a module.
    """
    if value is None or isinstance(value, (str, int, float)):
        return repr(value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = [f"{field.name}={option_text(name, getattr(value, field.name), file)}" for field in fields(value)]
        return f"{type(value).__module__}.{type(value).__qualname__}({', '.join(parts)})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {option_text(name, item, file)}" for key, item in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(option_text(name, item, file) for item in value) + "]"
    if isinstance(value, functools.partial):
        parts = [option_text(name, part, file) for part in (value.func, value.args, value.keywords)]
        return f"partial({', '.join(parts)})"
    qualified = getattr(value, "__qualname__", "<")
    owner = getattr(value, "__self__", None)  # of a method its object, whose state the name does not tell
    if callable(value) and "<" not in qualified and (owner is None or isinstance(owner, (type, ModuleType))):
        return f"{value.__module__}.{qualified}"
    raise ConfigurationError(
        f"{name}={value!r} cannot be told from another when a run is resumed: use a name, a dataclass of plain "
        f"values, a function of a module or a functools.partial of one, or leave {file} out"
    )


def _add(digest: Any, name: str, tensor: Tensor) -> None:
    parts = (
        to_parts(name, tensor.to_sparse(layout=torch.sparse_coo).coalesce()) if is_sparse(tensor) else {name: tensor}
    )
    for part, values in parts.items():
        digest.update(f"{part} {list(values.shape)} {values.dtype}".encode())
        digest.update(_bytes(values))


def _bytes(tensor: Tensor) -> bytes:
    values = tensor.detach().cpu().contiguous().reshape(-1)
    return values.view(torch.uint8).numpy().tobytes() if values.numel() else b""
