"""Mutants of zip archives whose checksums fit again, of .npy files and of archives of these, and bombs."""

from __future__ import annotations

import functools
import io
import json
import struct
import zipfile
import zlib
from random import Random
from typing import Any

import numpy as np

from tests.fuzz.mutation.arrays import PLAIN, Arrays, altered_array, altered_arrays
from tests.fuzz.mutation.octets import altered_bytes
from tests.fuzz.mutation.texts import altered_text
from tests.fuzz.mutation.trees import altered_json

#: Types that numpy's files can hold beside numbers.
ALL = (*PLAIN, "complex64", "uint16", "longdouble", "datetime64[s]", "U5", "S3", "object", "record", ">f4")
#: MiB that a bomb unpacks to: more than a reader may take.
_BOMB = 3500


def altered_archive(content: bytes, random: Random) -> bytes:
    """``content``, a zip, with one member altered or left out, or one more; all of its checksums are right."""
    members = members_of(content)
    name = random.choice(sorted(members))
    kind = random.randrange(12)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[random.choice((f"{name}x", "x.npy", "../x", "/x", name.upper(), "a/" * 100 + "x"))] = members[name]
    elif kind == 2:
        other = random.choice(sorted(members))
        members[name], members[other] = members[other], members[name]
    else:
        members[name] = altered_member(members[name], random)
    return zipped(members, random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def altered_member(content: bytes, random: Random) -> bytes:
    """What one file in an archive may hold, altered as its kind of content suggests."""
    if content[:6] == b"\x93NUMPY":
        return altered_npy(content, random)
    if content[:1] in b"{[" and content[:1]:
        try:
            json.loads(content)
        except ValueError:
            return altered_bytes(content, random)
        return altered_json(content, random)
    return altered_bytes(content, random)


def altered_npy(content: bytes, random: Random) -> bytes:
    """``content``, one array, with another array in it, another text as its header, or bytes altered."""
    kind = random.randrange(3)
    if kind == 0:
        try:
            return npy_of(altered_array(np.load(io.BytesIO(content), allow_pickle=False), random, ALL))
        except ValueError:  # of an array that cannot be made or stored
            return altered_bytes(content, random)
    if kind == 1 and len(content) > 10:
        start, length = (10, 2) if content[6] == 1 else (12, 4)
        size = int.from_bytes(content[8 : 8 + length], "little")
        header = altered_text(content[start : start + size], random)[: 256 ** min(length, 3) - 1]
        return content[:8] + len(header).to_bytes(length, "little") + header + content[start + size :]
    return altered_bytes(content, random)


def altered_npz(content: bytes, random: Random) -> bytes:
    """``content``, an archive of arrays, with other arrays in it, or altered as any archive."""
    if random.random() < 0.5:
        return altered_archive(content, random)
    return npz_of(altered_arrays(arrays_of(content), random, ALL))


def members_of(content: bytes) -> dict[str, bytes]:
    """The files in a zip, by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of ``members``, in their order, of one date."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return stream.getvalue()


def arrays_of(content: bytes) -> Arrays:
    """The arrays of an .npz file, by name."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def npz_of(arrays: Arrays) -> bytes:
    """An .npz file of ``arrays``; names may be any."""
    return zipped({f"{name}.npy": npy_of(array) for name, array in arrays.items()})


def npy_of(array: np.ndarray[Any, Any]) -> bytes:
    """The .npy file of ``array``."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def bomb(content: bytes) -> bytes:
    """``content``, a zip, whose first member unpacks to gigabytes of zeros: as an array, if it is one."""
    members = members_of(content)
    name = min(members)
    stream = io.BytesIO(_bomb(name))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        for other in sorted(members.keys() - {name}):
            archive.writestr(other, members[other])
    return stream.getvalue()


@functools.cache
def _bomb(name: str) -> bytes:
    """A zip whose one member ``name`` holds gigabytes of zeros; its checksum is wrong, which shows at their end."""
    header, packer = io.BytesIO(), zlib.compressobj(9, wbits=-15)
    if name.endswith(".npy"):
        said = {"descr": "|u1", "fortran_order": False, "shape": (_BOMB << 20,)}
        np.lib.format.write_array_header_1_0(header, said)
    first = packer.compress(header.getvalue()) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    content = bytearray(zipped({name: first + piece * _BOMB + packer.flush()}, zipfile.ZIP_STORED))
    central = content.rindex(b"PK\x01\x02")
    for start, method, size in ((0, 8, 22), (central, 10, 24)):  # in the header of the member, and in the directory
        struct.pack_into("<H", content, start + method, zipfile.ZIP_DEFLATED)
        struct.pack_into("<L", content, start + size, len(header.getvalue()) + (_BOMB << 20))
    return bytes(content)
