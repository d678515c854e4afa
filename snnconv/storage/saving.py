"""Storage: a network in one file, safetensors with a JSON manifest, read without pickle or the model's class."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors

from coding import SnnconvError
from snnconv.data.file_kinds import NETWORK, unreadable
from snnconv.errors import StorageError
from snnconv.spiking.base import N, NetworkBase
from snnconv.storage.atomic import write_whole
from snnconv.storage.manifest import manifest_of, parsed, tensors_of
from snnconv.storage.manifest_versions import OLDEST, VERSION, upgraded
from snnconv.storage.signed import AlteredError, read_signed, signed

#: What makes a network of a manifest that is none: errors of Python, of torch (assertions among them), and ours.
_DAMAGE = (
    *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError, AssertionError, RuntimeError),
    SnnconvError,
)


def save(network: NetworkBase, path: str | os.PathLike[str]) -> None:
    """Write ``network`` to ``path``, whole or not at all.

    Raises ``StorageError`` for a neuron or code that is not registered, and where the file cannot be written.
    """
    write_whole(path, content_of(network))


def content_of(network: NetworkBase) -> bytes:
    """The content of a file of ``network``; raises ``StorageError`` for a neuron or code that is not registered."""
    manifest = json.dumps(manifest_of(network), allow_nan=False)
    return signed(NETWORK, VERSION, manifest, tensors_of(network))


def read(path: str | os.PathLike[str], network: Callable[..., N]) -> N:
    """What ``network``, a class, makes of the content of ``path``, on the CPU.

    Args:
        path: The file.
        network: The class of the network.

    Returns:
        The network, on the CPU.

    Raises:
        StorageError: The file is missing, truncated, altered, from a future version, or not one of ours.
    """
    source = Path(path)
    try:
        version, manifest, tensors = read_signed(source, lambda metadata: _check_version(source, metadata))
    except (OSError, safetensors.SafetensorError) as error:
        raise StorageError(unreadable(source, NETWORK, f"{error}; it is truncated or no snnconv file")) from error
    except AlteredError as error:
        raise StorageError(f"{source} cannot be used: {error}") from error
    try:
        return network(**parsed(upgraded(json.loads(manifest), version), tensors))
    except _DAMAGE as error:
        raise StorageError(f"{source} holds no valid network: {error}") from error


def _check_version(source: Path, metadata: Mapping[str, str]) -> int:
    version = metadata.get("version", "")
    if metadata.get("format") != NETWORK.format or not (version.isascii() and version.isdigit() and len(version) < 10):
        reason = "it is a safetensors file, but not one that snnconv saved"
        raise StorageError(unreadable(source, NETWORK, reason))
    if int(version) < OLDEST:
        raise StorageError(f"{source} has format version {version}, of an earlier snnconv: convert the model again")
    if int(version) > VERSION:
        raise StorageError(
            f"{source} has format version {version}, this snnconv reads up to {VERSION}: update snnconv to read it"
        )
    return int(version)
