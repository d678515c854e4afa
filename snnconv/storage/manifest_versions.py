"""Versions of a stored network's manifest: what each holds, and how an older one becomes the newest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from snnconv.errors import StorageError
from snnconv.graph.operators import PiecewiseLinear

#: The version that is written, and the oldest that is read.
VERSION, OLDEST = 4, 3
_KEYS = frozenset(
    {"inputs", "nodes", "output", "dynamic_axes", "parameters", "populations", "hidden", "input", "overrides"}
    | {"schedule", "input_shapes", "densities", "flags"}
)
_POPULATION_KEYS = frozenset(
    {"name", "node", "activation", "code", "neuron", "channel_axis", "shape", "inserted", "silent_channels"}
)
_FLAGS = frozenset({"tuned"})


def upgraded(manifest: Mapping[str, Any], version: int) -> Mapping[str, Any]:
    """A manifest of ``version`` as one of the newest version, all of its entries known.

    Raises ``StorageError`` for an entry or a flag that this version does not have, ``LookupError``, ``TypeError`` or
    ``AttributeError`` for what is no manifest.
    """
    newest = _from_version_3(manifest) if version == 3 else manifest
    _check_known("entries", newest, _KEYS)
    _check_known("flags", newest["flags"], _FLAGS)
    for entry in newest["populations"]:
        _check_known("entries of a population", entry, _POPULATION_KEYS)
    return newest


def dynamic_axes(inputs: Iterable[str], batch_axis: int | None) -> list[list[Any]]:
    """The axes whose length a file leaves open, as names with the places ``[input, axis]`` that have this length."""
    return [] if batch_axis is None else [["batch", [[name, batch_axis] for name in inputs]]]


def batch_axis_in(axes: Any, inputs: Iterable[str]) -> int | None:
    """The batch axis among dynamic ``axes``; raises ``StorageError`` where any other axis is dynamic."""
    for batch_axis in (0, None):
        if axes == dynamic_axes(inputs, batch_axis):
            return batch_axis
    raise StorageError(f"dynamic axes {axes!r} are not supported: only axis 0 of all inputs together may be, as batch")


def _check_known(what: str, found: Iterable[str], known: frozenset[str]) -> None:
    unknown = sorted(set(found) - known)
    if unknown:
        raise StorageError(f"unknown {what}: {', '.join(map(repr, unknown))}")


def _from_version_3(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Version 3 knows one activation function, by its fields, the batch axis by itself, and ``tuned`` as an entry."""
    kept = {key: value for key, value in manifest.items() if key not in ("batch_axis", "tuned")}
    batch_axis = manifest["batch_axis"]
    if batch_axis not in (0, None):
        raise StorageError(f"batch axis {batch_axis!r} is neither 0 nor absent")
    return {
        **kept,
        "dynamic_axes": dynamic_axes([name for name, _ in manifest["inputs"]], batch_axis),
        "flags": ["tuned"] if manifest["tuned"] else [],
        "populations": [
            {**entry, "activation": {"name": PiecewiseLinear.name, "fields": entry["activation"]}}
            for entry in manifest["populations"]
        ],
    }
