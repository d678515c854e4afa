"""Archives: the arrays of an .npz file, read so that a hostile file costs neither memory nor trust."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Collection, Mapping
from io import BytesIO

import numpy as np

from lava_runtime.errors import BundleError

#: Bytes that any archive may unpack to, and how many times its own size a larger one may.
_SMALL, _MOST_RATIO = 1 << 28, 100
_LONGEST_HEADER = 10_000


def read_arrays(path: str, wanted: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays of the file ``path`` by name; ``wanted`` leaves out the others.

    Raises ``BundleError`` for a file that is missing, truncated, altered, or holds something else than plain arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays: dict[str, np.ndarray] = {}
            size, unpacked = os.stat(path).st_size, sum(member.file_size for member in archive.infolist())
            if unpacked > max(_SMALL, _MOST_RATIO * size):
                raise BundleError(f"it claims {unpacked} bytes, more than {_MOST_RATIO} times its own {size}")
            for member in archive.infolist():
                name = member.filename[: -len(".npy")]
                if not member.filename.endswith(".npy") or name in arrays:
                    raise BundleError(f"{path}: member {member.filename!r} is no array, or there twice")
                if wanted is None or name in wanted:
                    arrays[name] = _read(archive, member)
            return arrays
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
    except Exception as error:  # a hostile file fails anywhere: in zip, in a decompressor, in a header
        raise BundleError(f"{path} cannot be read: {error}; it is truncated, altered or no .npz file") from error


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BundleError(f"member {member.filename!r} is packed in a way that numpy does not write")
    content = archive.read(member)  # whole, so that its checksum is compared
    file = BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_LONGEST_HEADER)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file, max_header_size=_LONGEST_HEADER)
    else:
        raise BundleError(f"member {member.filename!r} has the unknown array format {version}")
    elements = 1
    for size in shape:
        elements *= int(size)
    if dtype.hasobject or dtype.names is not None or elements < 0:
        raise BundleError(f"member {member.filename!r} holds objects instead of numbers")
    if elements * dtype.itemsize != len(content) - file.tell():
        raise BundleError(f"member {member.filename!r} has another size than its header claims")
    file.seek(0)
    array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False, max_header_size=_LONGEST_HEADER)
    return array


def write_arrays(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Make ``path`` an .npz file of ``arrays``, whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)), prefix=".lava-")
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
                for name, array in arrays.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
