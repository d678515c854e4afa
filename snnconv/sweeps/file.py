"""The file of a sweep: what was measured so far, with which snnconv, and digests of the model and data."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snnconv.data.file_kinds import SWEEP, kind_of
from snnconv.errors import StorageError
from snnconv.storage.atomic import replace_whole
from snnconv.storage.signed import signature
from snnconv.sweeps.results import impossible

VERSION = 2
_SIGNATURE = "sha256"


class SweepFile:
    """Entries by label, each a mapping ready for JSON, and what all of them have in common, by name.

    Several processes may add entries to one file: each writes what the others have added, too. ``path=None`` is a file
    that is never written. Raises ``StorageError`` for a file that is broken or altered, in a future format, or with
    figures of another version of snnconv, another model, other data or other options; a file without figures, such as
    one that a mistaken option left behind, is begun again.
    """

    def __init__(self, path: str | os.PathLike[str] | None, common: Mapping[str, str]) -> None:
        self.path = None if path is None else Path(path)
        self.common = dict(common)
        self.entries: dict[str, dict[str, Any]] = {} if self.path is None else self._found()

    def begin(self) -> None:
        """Write the file before the first measurement, so that a path that cannot be written costs none."""
        self._write({})

    def add(self, label: str, entry: Mapping[str, Any]) -> None:
        """Set the entry of ``label`` and write the file, whole or not at all."""
        self._write({label: dict(entry)})

    def _write(self, more: Mapping[str, dict[str, Any]]) -> None:
        def content() -> bytes:
            self.entries = {**self.entries, **self._found(), **more}
            entries = {label: {**entry, _SIGNATURE: _signature(label, entry)} for label, entry in self.entries.items()}
            found = {"format": SWEEP.format, "version": VERSION, "common": self.common, "results": entries}
            return (json.dumps(found, indent=1, allow_nan=False) + "\n").encode()

        if self.path is not None:
            replace_whole(self.path, content)

    def _found(self) -> dict[str, dict[str, Any]]:
        """The entries in the file as it is now."""
        assert self.path is not None
        if not os.path.exists(self.path):  # nor a name that no file can have, which writing refuses
            return {}
        found, entries = read(self.path)
        differing = [name for name, text in self.common.items() if found.get(name) != text]
        if differing and any("figures" in entry for entry in entries.values()):
            raise StorageError(
                f"{self.path} holds a sweep with another {' and another '.join(differing)}; results of both would "
                "be mixed: take another path, or delete the file. (Samples that a loader alters at random, and a "
                "data set that it shuffles, count as others each time.)"
            )
        return {} if differing else entries


def read(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """What the results in ``path`` have in common, and the entries by label.

    Raises ``StorageError``, with the label of a result whose figures cannot be.
    """
    source = Path(path)
    try:
        content = json.loads(source.read_bytes(), parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except OSError as error:
        raise StorageError(f"{source} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise broken(source, error) from error
    if not isinstance(content, dict) or content.get("format") != SWEEP.format:
        raise broken(source, "it is JSON, but not the file of a sweep")
    version = content.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise broken(source, f"its version is {version!r}")
    if version > VERSION:
        raise StorageError(
            f"{source} has format version {version}, this snnconv reads up to {VERSION}: update snnconv to read it"
        )
    common, entries = content.get("common"), content.get("results")
    if not isinstance(common, dict) or not isinstance(entries, dict):
        raise broken(source, "it lacks its results")
    if not all(isinstance(entry, dict) for entry in entries.values()):
        raise broken(source, "a result is no mapping")
    for label, entry in entries.items():
        if entry.pop(_SIGNATURE, None) != _signature(label, entry) and version > 1:  # the first had none
            raise broken(source, f"the result of {label!r} was altered after it was saved: its checksum does not match")
        figures = entry.get("figures")
        reason = impossible(figures) if isinstance(figures, dict) else None
        if figures is not None and "failure" in entry:
            reason = "it has figures and failed"
        if reason is not None:
            raise broken(source, f"the result {label!r} cannot be: {reason}")
    return common, entries


def _signature(label: str, entry: Mapping[str, Any]) -> str:
    """SHA-256 of a result: one may be taken out of a file by hand, but not altered."""
    return signature(json.dumps([label, entry], sort_keys=True), {})


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no figure")
    return number


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError(f"{text[:20]}... is no figure")
    return number


def broken(path: str | os.PathLike[str], why: object) -> StorageError:
    """The error for a file that holds no sweep."""
    found = kind_of(path)
    if found not in (None, SWEEP):
        why = f"it holds {found.name}, and {found.taken}"
    return StorageError(f"{path} holds no valid sweep: {why}; delete it or take another path, and measure again")
