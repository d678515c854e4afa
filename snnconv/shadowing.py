"""Another file with the name of a package of the project: importing this module says where it is, and the cure.

``coding`` and ``neurons`` are top-level packages, so a user's own ``neurons.py``, or another distribution that installs
a package of this name, is found instead of ours where it stands earlier on Python's path.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

_FOLDER = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def _found(package: str) -> str | None:
    """The file or folder that ``import package`` loads; ``None`` if there is none."""
    if package in sys.modules:
        return getattr(sys.modules[package], "__file__", None)
    spec = find_spec(package)
    if spec is None:
        return None
    return spec.origin or next(iter(spec.submodule_search_locations or ()), None)


def _check(package: str) -> None:
    """Raise ``ImportError`` where ``package`` is not the one that belongs to this installation."""
    found = _found(package)
    if found is not None and os.path.realpath(found) != os.path.join(_FOLDER, package, "__init__.py"):
        raise ImportError(
            f"snnconv needs its own package {package!r}, but {found} is in the way: Python finds it first. Rename that "
            "file or folder; if another distribution installed it, uninstall that one",
            name=package,
            path=found,
        )


for _package in ("coding", "neurons"):
    _check(_package)
