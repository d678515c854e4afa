"""Versions of a stored network's manifest: what each holds, and how an older one becomes the newest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from snnconv.data.shapes import BATCH, Shape
from snnconv.errors import StorageError
from snnconv.graph.operators import PiecewiseLinear

#: The version that is written, and the oldest that is read.
VERSION, OLDEST = 4, 3
_KEYS = frozenset(
    {"inputs", "nodes", "output", "parameters", "populations", "hidden", "input", "overrides"}
    | {"schedule", "input_shapes", "densities", "flags", "front", "masks"}
)
_POPULATION_KEYS = frozenset(
    {"name", "node", "activation", "code", "neuron", "channel_axis", "shape", "inserted", "silent_channels"}
)
_FRONT_KEYS = frozenset({"inputs", "nodes", "output", "whole"})
_FLAGS = frozenset({"tuned"})


def upgraded(manifest: Mapping[str, Any], version: int) -> Mapping[str, Any]:
    """A manifest of ``version`` as one of the newest version, all of its entries known.

    Raises ``StorageError`` for an entry or a flag that this version does not have, ``LookupError``, ``TypeError`` or
    ``AttributeError`` for what is no manifest.
    """
    newest = _from_version_3(manifest) if version == 3 else manifest
    _check_known("entries", newest, _KEYS)
    _check_known("entries of the front", newest.get("front", {}), _FRONT_KEYS)
    _check_known("flags", newest["flags"], _FLAGS)
    for entry in newest["populations"]:
        _check_known("entries of a population", entry, _POPULATION_KEYS)
    return newest


def batch_axis_of(inputs: Mapping[str, Shape]) -> int | None:
    """The axis along which samples lie; raises ``StorageError`` where only some inputs have it, or at another place."""
    places = {tuple(axis for axis, size in enumerate(shape) if size == BATCH) for shape in inputs.values()}
    if places not in ({(0,)}, {()}):
        raise StorageError(
            f"inputs of shapes {[*inputs.values()]} have no common batch axis: it is axis 0 of all, or of none"
        )
    return 0 if places == {(0,)} else None


def _check_known(what: str, found: Iterable[str], known: frozenset[str]) -> None:
    unknown = sorted(set(found) - known)
    if unknown:
        raise StorageError(f"unknown {what}: {', '.join(map(repr, unknown))}")


def _from_version_3(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Version 3 has one activation function, by its fields, free axes of the size -1, and ``tuned`` as an entry."""
    kept = {key: value for key, value in manifest.items() if key not in ("batch_axis", "tuned")}
    batch_axis = manifest["batch_axis"]
    if batch_axis not in (0, None):
        raise StorageError(f"batch axis {batch_axis!r} is neither 0 nor absent")

    def named(shape: Sequence[int]) -> list[int | str]:
        return [
            size if size != -1 else BATCH if axis == batch_axis else f"axis {axis}" for axis, size in enumerate(shape)
        ]

    return {
        **kept,
        "inputs": [[name, named(shape)] for name, shape in manifest["inputs"]],
        "input_shapes": [named(shape) for shape in manifest["input_shapes"]],
        "flags": ["tuned"] if manifest["tuned"] else [],
        "populations": [
            {**entry, "activation": {"name": PiecewiseLinear.name, "fields": entry["activation"]}}
            for entry in manifest["populations"]
        ],
    }
