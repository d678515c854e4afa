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
from snnconv.storage.atomic import write_whole

VERSION = 1


class SweepFile:
    """Entries by label, each a mapping ready for JSON, and what all of them have in common, by name.

    ``path=None`` is a file that is never written. Raises ``StorageError`` for a file that is broken, in a future
    format, or with figures of another version of snnconv, another model, other data or other options; a file without
    figures, such as one that a mistaken option left behind, is begun again.
    """

    def __init__(self, path: str | os.PathLike[str] | None, common: Mapping[str, str]) -> None:
        self.path = None if path is None else Path(path)
        self.common = dict(common)
        self.entries: dict[str, dict[str, Any]] = {}
        if self.path is not None and os.path.exists(self.path):  # Path.exists raises for names that cannot be
            found, self.entries = read(self.path)
            differing = [name for name, text in self.common.items() if found.get(name) != text]
            if differing and not any("figures" in entry for entry in self.entries.values()):
                self.entries = {}
            elif differing:
                raise StorageError(
                    f"{self.path} holds a sweep with another {' and another '.join(differing)}; results of both would "
                    "be mixed: take another path, or delete the file. (Samples that a loader alters at random, and a "
                    "data set that it shuffles, count as others each time.)"
                )
        self._write()  # before the first measurement, so that a path that cannot be written costs none

    def add(self, label: str, entry: Mapping[str, Any]) -> None:
        """Set the entry of ``label`` and write the file, whole or not at all."""
        self.entries[label] = dict(entry)
        self._write()

    def _write(self) -> None:
        if self.path is None:
            return
        content = {"format": SWEEP.format, "version": VERSION, "common": self.common, "results": self.entries}
        write_whole(self.path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """What the results in ``path`` have in common, and the entries by label. Raises ``StorageError``."""
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
    return common, entries


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
