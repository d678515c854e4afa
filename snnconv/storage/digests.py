"""Digests that tell runs apart: of data, graphs, weights and options."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from snnconv.data.batches import batches
from snnconv.errors import ConfigurationError
from snnconv.graph.graph import Graph
from snnconv.graph.sparse import is_sparse, to_parts

#: The packages of this project, in which no two classes have one name.
_OWN = frozenset({"coding", "neurons", "snnconv", "hw_export"})


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
    head = [f"{list(graph.inputs)} {graph.output!r} {graph.batch_axis}{f' {list(graph.masks)}' if graph.masks else ''}"]
    for line in (*head, *(f"{node.name} {node.op} {dict(node.arguments)!r}" for node in graph.nodes.values())):
        digest.update(line.encode())
    for name, tensor in sorted(graph.constants.items()):
        _add(digest, name, tensor)
    if graph.front is not None:
        digest.update(graph_digest(graph.front).encode())
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
        return f"{qualified_name(type(value))}({', '.join(parts)})"
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
        return qualified_name(value)
    raise ConfigurationError(
        f"{name}={value!r} cannot be recognised when a run is resumed: use a name, a dataclass of plain "
        f"values, a function of a module or a functools.partial of one, or leave {file} out"
    )


def qualified_name(named: Any) -> str:
    """What files call a class or a function: classes of this project without their module, which may be moved."""
    own = isinstance(named, type) and named.__module__.partition(".")[0] in _OWN
    return str(named.__qualname__) if own else f"{named.__module__}.{named.__qualname__}"


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
