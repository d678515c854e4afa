"""Layouts: a bundle orders a map as torch does, channels, height, width; Lava as width, height, channels."""

from __future__ import annotations

import numpy as np

Shape = tuple[int, ...]


def lava_shape(shape: Shape) -> Shape:
    """The shape of a population in Lava."""
    return shape[::-1]


def to_lava(array: np.ndarray, rank: int) -> np.ndarray:
    """``array`` with its last ``rank`` axes, those of one sample, in Lava's order."""
    return np.ascontiguousarray(_reversed(array, rank))


def lava_order(shape: Shape) -> np.ndarray:
    """For every neuron in Lava's order, where it stands in the bundle's order."""
    neurons = int(np.prod(shape, dtype=np.int64))
    return np.ascontiguousarray(np.arange(neurons).reshape(shape).T).reshape(-1)


def _reversed(array: np.ndarray, rank: int) -> np.ndarray:
    first = array.ndim - rank
    return array.transpose(*range(first), *range(array.ndim - 1, first - 1, -1))
