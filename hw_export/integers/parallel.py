"""Weights of more bits than a synapse has: several synapses in parallel, from the same source to the same target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from hw_export.explicit.maps import Array, ConvolutionMap, DenseMap, LinearMap, SparseMap
from hw_export.explicit.network import Connection

#: The most synapses that a weight is held in.
MOST_PARALLEL = 4


def parallel_synapses(connections: Sequence[Connection]) -> list[int]:
    """How many synapses a weight of each of ``connections``, which end in one target, may be held in.

    A skip brings one large weight to a channel, a convolution hundreds of small ones, and all of a channel share a
    step, which the largest decides. Where a connection brings few synapses beside another's many, its weights may be
    larger in that step: it never comes to more synapses than the connection with the most.
    """
    counts = [_synapses_of_neuron(each.map) for each in connections]
    return [max(1, min(MOST_PARALLEL, max(counts) // max(1, count))) for count in counts]


def split(connection: Connection, largest: int) -> Iterator[Connection]:
    """Connections of weights of 8 bits, none beyond ``largest``, that together are ``connection`` of larger ones."""
    left = connection.map
    while True:
        part = left.mapped(lambda weights: np.clip(weights, -largest, largest).astype(np.int8))
        yield replace(connection, map=part)
        left = left.mapped(partial(_sum, -part.weights.astype(np.int32)))
        if not left.weights.any():
            return


def merged(connections: Iterable[Connection]) -> list[Connection]:
    """``connections`` where those in parallel are one, of larger weights."""
    found: dict[tuple[str, str], list[Connection]] = {}
    for each in connections:
        alike = found.setdefault((each.source, each.target), [])
        if alike and _same_synapses(alike[-1].map, each.map):
            alike[-1] = replace(each, map=alike[-1].map.mapped(partial(_sum, each.map.weights)))
        else:
            alike.append(each)
    return [each for alike in found.values() for each in alike]


def _sum(one: Array, two: Array) -> Array:
    found: Array = one.astype(np.int32) + two
    return found


def _same_synapses(one: LinearMap, two: LinearMap) -> bool:
    """Whether two maps of the same ends differ in their weights alone."""
    if one.weights.shape != two.weights.shape:
        return False
    if isinstance(one, SparseMap) and isinstance(two, SparseMap):
        pairs = [(getattr(each.matrix, name) for each in (one, two)) for name in ("indices", "indptr")]
        return all(np.array_equal(*pair) for pair in pairs)
    if isinstance(one, ConvolutionMap) and isinstance(two, ConvolutionMap):
        names = ("stride", "padding", "dilation", "groups")
        return all(getattr(one, name) == getattr(two, name) for name in names)
    return isinstance(one, DenseMap) and isinstance(two, DenseMap)


def _synapses_of_neuron(one: LinearMap) -> int:
    """The most synapses that a neuron of the target has."""
    if isinstance(one, ConvolutionMap):
        return int(one.by_target(lambda rows: np.count_nonzero(rows, axis=1)).max(initial=0))
    rows = np.diff(one.matrix.indptr) if isinstance(one, SparseMap) else np.count_nonzero(one.weights, axis=1)
    return int(rows.max(initial=0))
