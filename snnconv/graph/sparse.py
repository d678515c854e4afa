"""Sparse constants, such as the adjacency of a graph: one layout for all, and the dense tensors they are stored as."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from snnconv.errors import ModelError, StorageError

#: Tensors that a sparse matrix is stored as.
_PARTS = ("indices", "values", "size")


def is_sparse(tensor: Tensor) -> bool:
    """Whether ``tensor`` is stored in any sparse layout."""
    return tensor.layout is not torch.strided


def stored_values(tensor: Tensor) -> Tensor:
    """The elements that are stored: all of a dense tensor."""
    if tensor.layout is torch.sparse_coo:
        return tensor._values()  # also where it is not coalesced
    return tensor.values() if is_sparse(tensor) else tensor


def canonical(tensor: Tensor, name: str) -> Tensor:
    """A sparse matrix of any layout as sorted coordinates without stored zeros; a dense tensor as it is.

    Raises ``ModelError`` for a sparse tensor that is no matrix.
    """
    if not is_sparse(tensor):
        return tensor
    coordinates = tensor.to_sparse(layout=torch.sparse_coo).coalesce()
    if coordinates.sparse_dim() != 2 or coordinates.dense_dim():
        raise ModelError(f"{name} is sparse, of shape {list(tensor.shape)}; only a matrix may be: use .to_dense()")
    indices, values = coordinates.indices(), coordinates.values()
    kept = values != 0
    return _matrix(indices[:, kept], values[kept], (tensor.shape[0], tensor.shape[1]))


def to_parts(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """Dense tensors from which ``from_parts`` makes a canonical sparse matrix again."""
    contents = (tensor.indices(), tensor.values(), torch.tensor(tensor.shape))
    return {f"{name}.{part}": content for part, content in zip(_PARTS, contents, strict=True)}


def from_parts(name: str, parts: Mapping[str, Tensor]) -> Tensor:
    """The matrix that ``to_parts`` took apart.

    Raises ``StorageError`` unless size, positions and values are those of a canonical matrix, and ``KeyError`` where
    one is missing.
    """
    indices, values, size = (parts[f"{name}.{part}"] for part in _PARTS)
    rows, columns = _sizes(name, size)
    if indices.dtype != torch.int64 or values.dim() != 1 or indices.shape != (2, values.shape[0]):
        raise StorageError(f"{name} has positions of shape {list(indices.shape)} for values {list(values.shape)}")
    limits = torch.tensor([[rows], [columns]])
    if bool(((indices < 0) | (indices >= limits)).any()):
        raise StorageError(f"{name} has positions outside {rows} x {columns}")
    if bool(((indices[0] * columns + indices[1]).diff() <= 0).any()):
        raise StorageError(f"{name} has positions that are repeated or out of order")
    if not values.is_floating_point():
        raise StorageError(f"{name} has values of type {values.dtype}")
    return _matrix(indices, values, (rows, columns))


def _sizes(name: str, size: Tensor) -> tuple[int, int]:
    if size.dtype != torch.int64 or size.shape != (2,):
        raise StorageError(f"{name} has no size of two integers")
    rows, columns = (int(length) for length in size)
    if min(rows, columns) < 1 or rows * columns >= 2**63:
        raise StorageError(f"{name} has the impossible size {rows} x {columns}")
    return rows, columns


def _matrix(indices: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.sparse_coo_tensor(indices, values, size, check_invariants=False, is_coalesced=True)
