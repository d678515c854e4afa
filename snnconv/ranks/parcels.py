"""Parcels: what ranks send each other as bytes. Only data are read from one: none of it can call a function."""

from __future__ import annotations

import io
import pickle
import sys
from dataclasses import is_dataclass
from typing import Any

from snnconv.errors import RankError, SnnconvError

#: The packages of this project.
_OWN = frozenset({"coding", "neurons", "snnconv", "hw_export"})


def packed(value: Any) -> bytes:
    """``value`` as bytes; how other libraries would have classes pickled by functions of theirs does not matter."""
    content = io.BytesIO()
    pickler = pickle.Pickler(content, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = {}
    pickler.dump(value)
    return content.getvalue()


def unpacked(content: bytes) -> Any:
    """The value that another rank has packed: numbers, text, bytes, collections, and records and errors of the project.

    Records are dataclasses, named tuples, and classes of others that are derived from one of the project. Raises
    ``RankError`` for whatever else is named in it, before that is made.
    """
    return _DataReader(io.BytesIO(content)).load()


class _DataReader(pickle.Unpickler):
    """Finds no functions, and of classes only those that hold data."""

    def find_class(self, module: str, name: str) -> type:
        own = module.partition(".")[0] in _OWN
        holder = sys.modules.get(module)  # all ranks are one program, so nothing need be imported
        found = None if holder is None else vars(holder).get(name)
        if not isinstance(found, type) or not _holds_data(found, own):
            raise RankError(
                f"another rank sends {module}.{name}, which is no data: give numbers, text, bytes, lists, tuples, sets "
                "and dicts of them, such as tensor.tolist()"
            )
        return found


def _holds_data(kind: type, own: bool) -> bool:
    if own:
        return is_dataclass(kind) or issubclass(kind, (tuple, SnnconvError))
    return any(base.__module__.partition(".")[0] in _OWN for base in kind.__mro__)
