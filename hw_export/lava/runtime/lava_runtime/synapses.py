"""Synapses of connections, read from a manifest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lava_runtime.errors import BundleError
from lava_runtime.fields import Fields
from lava_runtime.layout import Shape
from lava_runtime.network import BundleConnection, BundleConvolution, BundleNetwork, DenseSynapses, SparseSynapses


def read_connection(entry: Fields, arrays: Mapping[str, np.ndarray], network: BundleNetwork) -> BundleConnection:
    """The connection that ``entry`` describes; ``BundleError`` if it describes none of ``network``."""
    try:
        source = network.source(entry.name("source"))
    except KeyError:
        raise entry.wrong("source", "the name of an input, a population or a gate") from None
    try:
        target = network.target(entry.name("target"))
    except KeyError:
        raise entry.wrong("target", "the name of a population or an output") from None
    delay = entry.integer("delay", 1)
    if delay != target.depth - source.depth:
        raise entry.wrong("delay", f"the difference of the depths, {target.depth - source.depth}")
    kind = entry.choice("kind", ("convolution", "dense", "sparse"))
    synapses: BundleConvolution | DenseSynapses | SparseSynapses
    if kind == "convolution":
        synapses = _convolution(entry, arrays, source.shape, target.shape)
    else:
        rows, columns = (int(np.prod(shape, dtype=np.int64)) for shape in (target.shape, source.shape))
        synapses = (_dense if kind == "dense" else _sparse)(entry, arrays, rows, columns)
    return BundleConnection(source.name, target.name, delay, synapses)


def _convolution(entry: Fields, arrays: Mapping[str, np.ndarray], source: Shape, target: Shape) -> BundleConvolution:
    weight = entry.array("weight", arrays, "int8")
    groups = entry.integer("groups", 1)
    stride, dilation = entry.pair("stride", 1), entry.pair("dilation", 1)
    padding = entry.pair("padding", 0)
    if weight.ndim != 4 or weight.size == 0 or len(source) != 3:
        raise BundleError(f"{entry.where}: a weight of shape {list(weight.shape)} cannot convolve {list(source)}")
    if source[0] % groups or weight.shape[0] % groups or weight.shape[1] != source[0] // groups:
        raise BundleError(f"{entry.where}: a weight of shape {list(weight.shape)} does not fit {groups} groups")
    result = [weight.shape[0]]
    for axis in (0, 1):
        reach = dilation[axis] * (weight.shape[2 + axis] - 1) + 1
        result.append((source[1 + axis] + 2 * padding[axis] - reach) // stride[axis] + 1)
    if tuple(result) != target:
        raise BundleError(f"{entry.where}: the convolution makes {result}, its target has shape {list(target)}")
    if max(padding) > 1 << 16 or (source[1] + 2 * padding[0]) * (source[2] + 2 * padding[1]) * source[0] > 1 << 31:
        raise BundleError(f"{entry.where}.padding is {list(padding)}, which no kernel can need")
    return BundleConvolution(weight, stride, padding, dilation, groups)


def _dense(entry: Fields, arrays: Mapping[str, np.ndarray], rows: int, columns: int) -> DenseSynapses:
    weight = entry.array("weight", arrays, "int8")
    if weight.shape != (rows, columns):
        raise BundleError(f"{entry.where}.weight has shape {list(weight.shape)}, it must be {[rows, columns]}")
    return DenseSynapses(weight)


def _sparse(entry: Fields, arrays: Mapping[str, np.ndarray], rows: int, columns: int) -> SparseSynapses:
    data = entry.array("data", arrays, "int8")
    indices = entry.array("indices", arrays, "int32")
    indptr = entry.array("indptr", arrays, "int32", "int64")
    if data.ndim != 1 or indices.shape != data.shape or indptr.shape != (rows + 1,):
        raise BundleError(
            f"{entry.where}: data {list(data.shape)}, indices {list(indices.shape)} and indptr {list(indptr.shape)} "
            f"are no compressed rows of {rows} targets"
        )
    if indptr[0] != 0 or indptr[-1] != len(data) or (indptr[1:] < indptr[:-1]).any():
        raise BundleError(f"{entry.where}.indptr does not count from 0 to the {len(data)} weights")
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < columns:
        raise BundleError(f"{entry.where}.indices name sources outside 0 to {columns - 1}")
    return SparseSynapses(data, indices, indptr)
