"""Lazy import of the libraries that snnconv is compared with.

They are no dependency of snnconv: ``make bench-peers`` installs `requirements-peers.txt` without dependency
resolution, because both would pull in packages that the comparison never touches (torchvision, torchaudio,
samna, tensorboard). Neither library imports those on the paths used here, so nothing is stubbed or patched.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from types import ModuleType


class PeerMissing(RuntimeError):
    """A library to compare with is not installed."""


def import_peer(module: str) -> ModuleType:
    """Import a module of a peer.

    Raises:
        PeerMissing: it, or something it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise PeerMissing(f"cannot import {module} ({error}): run `make bench-peers`") from error


def peer_version(distribution: str) -> str:
    """The installed version of a peer."""
    return version(distribution)
