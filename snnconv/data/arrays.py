"""Arrays in files of anybody: what a file claims is compared with what it holds before memory is asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Bytes that any archive may unpack to, and how many times its own size a larger one may.
SMALL_ARCHIVE, MOST_RATIO = 2**28, 100
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
#: Kinds of numbers (and of text) that arrays may hold, as numpy abbreviates them.
_KINDS = "biufcU"


class ArrayArchive(Mapping[str, Array]):
    """The arrays of an open ``.npz`` by name, each read when it is asked for; errors as ``array_archive``."""

    def __init__(self, archive: ZipFile, size: int) -> None:
        self._archive = archive
        self._members = {
            member.filename.removesuffix(".npy"): member
            for member in archive.infolist()
            if member.filename.endswith(".npy")
        }
        check_unpacked(archive, size)

    def __getitem__(self, name: str) -> Array:
        member: ZipInfo = self._members[name]
        if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError(f"{name} is packed in a way that numpy does not write")
        with _told(), self._archive.open(member) as stream:
            return _array(stream, member.file_size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def check_unpacked(archive: ZipFile, size: int) -> None:
    """Raise ``ValueError`` for an archive of ``size`` bytes that says it unpacks to far more than most do."""
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(SMALL_ARCHIVE, MOST_RATIO * size):
        raise ValueError(
            f"it has {size} bytes and unpacks to {unpacked}, more than {MOST_RATIO} times as many; if that is right, "
            "save it without compression"
        )


@contextmanager
def array_archive(path: str | os.PathLike[str]) -> Iterator[ArrayArchive]:
    """The arrays of a ``.npz``; nothing is unpickled.

    Raises ``OSError`` for a file that cannot be opened and ``ValueError``, which says why, for whatever is no sound
    archive of numbers, unpacks to more than ``MOST_RATIO`` times its size (beyond ``SMALL_ARCHIVE`` bytes), or does not
    fit into memory.
    """
    with _opened(path) as stream:
        with _told():
            archive = ArrayArchive(ZipFile(stream), os.fstat(stream.fileno()).st_size)
        yield archive


def read_array(path: str | os.PathLike[str]) -> Array:
    """The array in a ``.npy``; nothing is unpickled. Errors as ``array_archive``."""
    with _told(), _opened(path) as stream:
        return _array(stream, os.fstat(stream.fileno()).st_size)


def _opened(path: str | os.PathLike[str]) -> IO[bytes]:
    if Path(path).exists() and not Path(path).is_file():  # opening a pipe would wait for somebody to write
        raise ValueError("it is no regular file")
    return Path(path).open("rb")


def _array(stream: IO[bytes], size: int) -> Array:
    """The array that takes up ``stream`` of ``size`` bytes, once its header is believed."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"it has the array format {version}, which no array of numbers needs")
    shape, _, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, not numbers")
    if dtype.kind not in _KINDS or not dtype.itemsize:
        raise ValueError(f"it holds {dtype}, not numbers")
    claimed, held = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if min(shape, default=0) < 0 or claimed > held:
        raise ValueError(
            f"its header claims {dtype} of shape {list(shape)}, {claimed} bytes, and {held} bytes follow: it is cut "
            "off, or was altered"
        )
    stream.seek(0)
    array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array


@contextmanager
def _told() -> Iterator[None]:
    """Whatever the readers of archives and headers happen to raise on a broken file is a ``ValueError``."""
    try:
        yield
    except (OSError, ValueError):
        raise
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error
