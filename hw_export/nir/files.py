"""NIR files from anywhere: checked before anything of them is used."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coding.optional import imported
from snnconv.data.arrays import MOST_RATIO, SMALL_ARCHIVE
from snnconv.data.file_kinds import NIR, unreadable
from snnconv.errors import StorageError

if TYPE_CHECKING:
    import nir

_DEPTH = 16
#: What damaged files make the readers of HDF5 and NIR raise.
DAMAGE = (OSError, ValueError, TypeError, AttributeError, AssertionError, LookupError, RuntimeError, ArithmeticError)


def read(path: str | os.PathLike[str]) -> nir.NIRGraph:
    """The graph in the file ``path``; raises ``StorageError`` for anything that is no sound NIR graph."""
    reader, h5py = imported("nir", "snnconv[nir]"), imported("h5py", "snnconv[nir]")
    place = Path(path)
    try:
        with h5py.File(place, "r") as file:
            _check_items(file, h5py, place)
        return reader.read(place)
    except DAMAGE as error:
        raise StorageError(unreadable(place, NIR, str(error) or type(error).__name__)) from error


def _check_items(file: Any, h5py: Any, place: Path) -> None:
    """Raise ``StorageError`` for links out of the file or back into it, and for more data than the file explains."""
    size = place.stat().st_size
    total, pending = 0, [(file, 0)]
    while pending:
        group, depth = pending.pop()
        if depth > _DEPTH:
            raise StorageError(f"{place} nests groups more than {_DEPTH} deep; NIR files do not")
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise StorageError(f"{place}: {group.name}/{name} is a link to another place; NIR files hold none")
            item = group[name]
            if h5py.h5o.get_info(item.id).rc > 1:
                raise StorageError(f"{place}: {group.name}/{name} is linked from several places; NIR files are trees")
            if isinstance(item, h5py.Group):
                pending.append((item, depth + 1))
                continue
            if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
                raise StorageError(f"{place}: {item.name} is kept outside the file; NIR files hold their own data")
            total += item.size * item.dtype.itemsize if item.shape is not None else 0
            if total > max(SMALL_ARCHIVE, MOST_RATIO * size):
                raise StorageError(
                    f"{place} has {size} bytes and unpacks to more than {MOST_RATIO} times as many, which is not read"
                )


def ordered(graph: nir.NIRGraph, place: str) -> list[str]:
    """Names of the nodes in order of execution; raises ``StorageError`` unless they can run once, one after another."""
    kinds = imported("nir", "snnconv[nir]")
    if not isinstance(graph, kinds.NIRGraph):
        raise StorageError(f"{place} holds a {type(graph).__name__}, not a NIR graph")
    for kind in (kinds.Input, kinds.Output):
        found = [name for name, node in graph.nodes.items() if isinstance(node, kind)]
        if len(found) != 1:
            raise StorageError(f"{place} has {len(found)} {kind.__name__} nodes; one can be read")
    unknown = {name for edge in graph.edges for name in edge} - set(graph.nodes)
    if unknown or len(set(graph.edges)) != len(graph.edges):
        raise StorageError(f"{place} has edges that are there twice, or lead to no node: {', '.join(sorted(unknown))}")
    waiting = Counter(target for _, target in graph.edges)
    order = [name for name, node in graph.nodes.items() if isinstance(node, kinds.Input)]
    for name in order:
        for source, target in graph.edges:
            if source == name:
                waiting[target] -= 1
                if not waiting[target]:
                    order.append(target)
    left = sorted(set(graph.nodes) - set(order))
    if left or any(waiting[name] for name in order):
        raise StorageError(
            f"{place}: {', '.join(left) or order[0]} cannot be run in one pass from the input: the graph has a "
            "cycle, or a node that nothing reaches; recurrent graphs are not read"
        )
    for name, node in graph.nodes.items():
        if isinstance(node, kinds.Output) and sum(target == name for _, target in graph.edges) != 1:
            raise StorageError(f"{place}: output {name} must have one incoming edge")
        for key, value in vars(node).items():
            if isinstance(value, np.ndarray) and not _sound(value):
                raise StorageError(f"{place}: {key} of {name} holds values that are not finite numbers")
    return order


def _sound(value: np.ndarray[Any, Any]) -> bool:
    return value.dtype.kind in "biuf" and bool(np.isfinite(value).all())
