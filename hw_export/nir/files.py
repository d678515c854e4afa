"""NIR files from anywhere: checked before anything of them is used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
        # Types are checked where sizes are, in program.py: NIR's own check takes no grouped convolutions.
        return reader.read(place, type_check=False)
    except DAMAGE as error:
        said = _broken_node(place) or str(error) or type(error).__name__
        raise StorageError(unreadable(place, NIR, said)) from error


def _broken_node(place: Path) -> str:
    """Which node of the file cannot be made, and why; nothing where it is not a node."""
    reader, serialization = imported("nir", "snnconv[nir]"), imported("nir.serialization", "snnconv[nir]")
    try:
        with imported("h5py", "snnconv[nir]").File(place, "r") as file:
            nodes = {name: serialization.hdf2dict(group) for name, group in file["node/nodes"].items()}
    except DAMAGE:
        return ""
    for name, fields in nodes.items():
        try:
            reader.dict2NIRNode(fields)
        except DAMAGE as error:
            return f"node {name} ({fields.get('type', 'of no type')}): {str(error) or type(error).__name__}"
    return ""


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
