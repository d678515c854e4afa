"""Citation graphs in the Planetoid split, from ``.npz`` files: papers with bags of words, joined by citations."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from snnconv.data.arrays import Array, array_archive
from snnconv.data.batches import IGNORED_TARGET
from snnconv.errors import InputError
from snnconv.surroundings import own_surroundings

#: Elements of the dense features beyond which a file is refused, and how many any file may have.
_LARGEST, _SMALL = 2**30, 2**26
#: Elements of the dense features for each that is stored and each byte of the file; bags of words have a few hundred.
_SPARSEST = 1000
#: Elements of an array that any file may have; a larger one has no more than bytes, as it is widened to 64 bits.
_LONGEST = 2**22
_MASKS = ("train_mask", "val_mask", "test_mask")
_KEYS = ("x_data", "x_indices", "x_indptr", "x_shape", "edge_index", "y", *_MASKS)


@dataclass(frozen=True)
class CitationGraph:
    """A graph whose nodes are to be classified.

    ``features`` are float32 ``[nodes, features]``, ``adjacency`` is D^-1/2 (A + I) D^-1/2 as a sparse matrix of
    coordinates, ``labels`` are int64 ``[nodes]``, and the masks, bool ``[nodes]``, say which nodes serve for what.
    """

    features: Tensor
    adjacency: Tensor
    labels: Tensor
    train_mask: Tensor
    val_mask: Tensor
    test_mask: Tensor

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.labels.max()) + 1

    def targets(self, mask: Tensor) -> Tensor:
        """The labels of the nodes in ``mask``; of all others the target that ``evaluate`` ignores."""
        return torch.where(mask, self.labels, IGNORED_TARGET)


@own_surroundings()
def load_planetoid(path: str | os.PathLike[str], *, normalize_features: bool = True) -> CitationGraph:
    """The citation graph in an ``.npz`` file; with ``normalize_features`` the features of each node sum to 1.

    The file holds the features as compressed rows (``x_data``, ``x_indices``, ``x_indptr``, ``x_shape``), the edges in
    both directions (``edge_index [2, edges]``), the classes ``y``, and ``train_mask``, ``val_mask``, ``test_mask``.
    Nothing is unpickled. Raises ``InputError`` for a file that is missing, broken, or does not hold such a graph.
    """
    file = Path(path)
    arrays, size = _arrays(file)
    try:
        features = _features(arrays, size)
        nodes = features.shape[0]
        edges = _whole(arrays, "edge_index", (2, None), nodes)
        if not np.array_equal(np.unique(edges[0] * nodes + edges[1]), np.unique(edges[1] * nodes + edges[0])):
            raise ValueError("edge_index must hold every edge in both directions")
        labels = _whole(arrays, "y", (nodes,))
        for name in _MASKS:
            if arrays[name].dtype != np.bool_ or arrays[name].shape != (nodes,):
                raise ValueError(f"{name} must hold one truth value for each of the {nodes} nodes")
    except ValueError as error:
        raise InputError(f"{file} holds no citation graph: {error}") from error
    if normalize_features:
        sums = features.sum(1, keepdims=True)
        features /= np.where(sums == 0.0, 1.0, sums)
    masks = {name: torch.from_numpy(arrays[name]) for name in _MASKS}
    return CitationGraph(
        torch.from_numpy(features),
        normalized_adjacency(torch.from_numpy(edges), nodes),
        torch.from_numpy(labels),
        **masks,
    )


@own_surroundings()
def normalized_adjacency(edge_index: Tensor, nodes: int) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 of the edges ``[2, edges]``, as a sparse float32 matrix.

    A repeated edge counts once, a self loop as the one that every node gets. Raises ``InputError`` for edges that are
    no integers from 0 to ``nodes`` - 1.
    """
    integers = not edge_index.is_floating_point() and not edge_index.is_complex() and edge_index.dtype != torch.bool
    if not integers or edge_index.dim() != 2 or edge_index.shape[0] != 2:
        raise InputError(
            f"edge_index is {edge_index.dtype} {list(edge_index.shape)}, it must hold integers, [2, edges]"
        )
    if bool(((edge_index < 0) | (edge_index >= nodes)).any()):
        raise InputError(f"edge_index holds numbers outside 0 to {nodes - 1}")
    edge_index = edge_index.long()
    loops = torch.arange(nodes)
    rows, columns = torch.cat([edge_index, loops.expand(2, -1)], 1)
    flat = torch.unique(rows * nodes + columns)
    rows, columns = flat // nodes, flat % nodes
    weight = torch.bincount(rows, minlength=nodes).float().rsqrt()
    return torch.sparse_coo_tensor(
        torch.stack([rows, columns]),
        weight[rows] * weight[columns],
        (nodes, nodes),
        check_invariants=False,
        is_coalesced=True,
    )


def _arrays(file: Path) -> tuple[dict[str, Array], int]:
    """The arrays of a citation graph in ``file``, none with far more elements than it has bytes, and its size."""
    try:
        size = file.stat().st_size
        with array_archive(file) as archive:
            missing = [key for key in _KEYS if key not in archive]
            if missing:
                raise InputError(f"{file} lacks {', '.join(missing)}; a citation graph has {', '.join(_KEYS)}")
            arrays = {key: archive[key] for key in _KEYS}
            for key, array in arrays.items():
                if array.size > max(_LONGEST, size):
                    raise ValueError(f"{key} has {array.size} elements, in a file of {size} bytes")
            return arrays, size
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} cannot be read as a citation graph: {error}") from error


def _features(arrays: Mapping[str, Array], size: int) -> npt.NDArray[np.float32]:
    """The features as a dense matrix; raises ``ValueError`` where its compressed rows contradict themselves.

    A file of ``size`` bytes explains so many elements.
    """
    nodes, width = (int(length) for length in _whole(arrays, "x_shape", (2,)))
    stored = arrays["x_indices"].size
    if min(nodes, width) < 1 or nodes * width > min(_LARGEST, max(_SMALL, _SPARSEST * min(stored, size))):
        raise ValueError(f"x_shape is {nodes} x {width}, for {stored} entries in {size} bytes")
    columns = _whole(arrays, "x_indices", (None,), width)
    starts = _whole(arrays, "x_indptr", (nodes + 1,), len(columns) + 1)
    if starts[0] != 0 or starts[-1] != len(columns) or bool((np.diff(starts) < 0).any()):
        raise ValueError(f"x_indptr must rise from 0 to the {len(columns)} entries of x_indices")
    data = arrays["x_data"]
    if data.shape != columns.shape or data.dtype.kind not in "fiub":
        raise ValueError(f"x_data must hold a number for each of the {len(columns)} entries of x_indices")
    if not bool(np.isfinite(data).all()):
        raise ValueError("x_data holds NaN or infinite values")
    features = np.zeros((nodes, width), dtype=np.float32)
    with np.errstate(over="ignore"):
        np.add.at(features, (np.repeat(np.arange(nodes), np.diff(starts)), columns), data.astype(np.float32))
    if not bool(np.isfinite(features).all()):
        raise ValueError("x_data holds values beyond single precision")
    return features


def _whole(
    arrays: Mapping[str, Array], name: str, shape: tuple[int | None, ...], limit: int | None = None
) -> npt.NDArray[np.int64]:
    """An integer array of a shape (any length where ``None``), not negative and below ``limit``, as int64."""
    array = arrays[name]
    fits = array.ndim == len(shape) and all(s in (None, n) for s, n in zip(shape, array.shape, strict=True))
    if array.dtype.kind not in "iu" or not fits:
        wanted = " x ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} is {array.dtype} {list(array.shape)}, it must hold integers, {wanted}")
    largest = math.inf if limit is None else limit - 1
    if array.size and (int(array.min()) < 0 or int(array.max()) > min(largest, 2**62)):
        raise ValueError(f"{name} holds numbers outside 0 to {largest}")
    return array.astype(np.int64)
