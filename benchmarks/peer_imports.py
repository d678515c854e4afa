"""Lazy import of the libraries that snnconv is compared with, and of those whose models the zoo converts.

They are no dependency of snnconv: ``make bench-peers`` and ``make bench-zoo`` install `requirements-peers.txt` and
`requirements-zoo.txt` without dependency resolution, because they would pull in packages that are never touched here,
or another torch. Nothing is stubbed or patched.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from types import ModuleType


class PeerMissing(RuntimeError):
    """A library of somebody else is not installed."""


def import_peer(module: str) -> ModuleType:
    """Import a module of a peer.

    Raises:
        PeerMissing: it, or something it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise PeerMissing(f"cannot import {module} ({error}): run `make bench-peers` or `make bench-zoo`") from error


def peer_version(distribution: str) -> str:
    """The installed version of a peer."""
    return version(distribution)
