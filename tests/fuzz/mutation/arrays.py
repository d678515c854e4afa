"""Mutants of named arrays: other values, types, shapes and names."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, Any]]
#: Types that every format of arrays can hold.
PLAIN = ("float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool")
_VALUES = (float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 1.0, 0.5, 2.0, 127.0, 1e-30, 1e30, -1e30, 1e300)


def altered_arrays(arrays: Arrays, random: Random, types: tuple[str, ...] = PLAIN) -> Arrays:
    """``arrays`` with one or two alterations."""
    arrays = dict(arrays)
    for _ in range(random.choice((1, 1, 2))):
        if not arrays:
            return arrays
        name = random.choice(sorted(arrays))
        kind = random.randrange(10)
        if kind == 0:
            del arrays[name]
        elif kind == 1:
            arrays[random.choice((f"{name}x", "", "x", "inputs", "scale.x", "../x"))] = arrays[name]
        elif kind == 2:
            other = random.choice(sorted(arrays))
            arrays[name], arrays[other] = arrays[other], arrays[name]
        else:
            arrays[name] = np.ascontiguousarray(altered_array(arrays[name], random, types))
    return arrays


def altered_array(array: np.ndarray[Any, Any], random: Random, types: tuple[str, ...] = PLAIN) -> np.ndarray[Any, Any]:
    """A copy of ``array`` with another value, type or shape."""
    kind = random.randrange(7)
    with np.errstate(all="ignore"):
        if kind == 0:
            return _of_type(array, random.choice(types))
        if kind == 1:
            return (
                random.choice((array.reshape(-1), array[None], array[..., None], array.T, array[:0], array[:1]))
                if array.ndim
                else array.reshape(1)
            )
        if kind == 2 and array.ndim:
            return random.choice((array[:-1], array[1:], np.concatenate([array, array]), array[::-1]))
    changed = array.copy()
    if not changed.size or changed.dtype.kind not in "fiub":
        return changed[..., None]
    value = random.choice(_VALUES)
    if changed.dtype.kind in "iu":
        information = np.iinfo(changed.dtype)
        value = random.choice((0, 1, -1, 2, 1000, information.max, information.min))
        value = max(int(information.min), min(int(information.max), int(value)))
    with np.errstate(all="ignore"):
        if random.random() < 0.3:
            changed[...] = value
        else:
            changed.reshape(-1)[random.randrange(changed.size)] = value
    return changed


def _of_type(array: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    if name == "object":
        return np.full(array.shape, {"a": 1}, dtype=object)
    if name == "record":
        return np.zeros(array.shape, dtype=[("a", "f4"), ("b", "i8")])
    try:
        return array.astype(name)
    except (ValueError, TypeError):
        return np.zeros(array.shape, dtype=name)
