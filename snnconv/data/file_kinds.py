"""What a file is, by its content: a reader that was given another file says which, and what takes that one."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class FileKind:
    """A kind of file: what it is called, what makes it and what takes it, as errors say.

    ``format`` is the name that the project's own files carry.
    """

    name: str
    made: str
    taken: str
    format: str = ""


NETWORK = FileKind("a spiking network", "which convert writes", "evaluate and export take it", "snnconv")
BUNDLE = FileKind("a Lava bundle", "which export writes", "run-lava takes it", "snnconv-lava")
CHECKPOINT = FileKind(
    "a checkpoint of snnconv's training",
    "which training writes",
    "the same training goes on from it",
    "snnconv training",
)
SWEEP = FileKind(
    "figures of a sweep",
    "which sweep writes",
    "sweep goes on with them in their folder, and snnconv.Sweep.load reads them",
    "snnconv sweep",
)
NIR = FileKind("a NIR graph (HDF5)", "which hw_export.nir.export writes", "hw_export.nir.load takes it")
NETX = FileKind("a network for netx (HDF5)", "which export writes", "netx of lava-dl takes it", "snnconv_netx")
PROGRAM = FileKind(
    "an exported program (.pt2)",
    "which torch.export.save writes",
    "convert and evaluate --reference take it as the model, with --trust",
)
SCRIPT = FileKind(
    "a TorchScript program",
    "which torch.jit.save writes",
    "it cannot be converted: give the Python module, and its state_dict() as weights",
)
WEIGHTS = FileKind(
    "weights of a model, or other tensors",
    "which torch.save(model.state_dict(), FILE) writes",
    "convert takes them as --weights, in Python model.load_state_dict(torch.load(FILE))",
)
SAMPLES = FileKind(
    "samples",
    "arrays named inputs and targets in .npz or .safetensors, as numpy.savez(FILE, inputs=..., targets=...) writes",
    "commands take them as --calibration or --data",
)
CONFIG = FileKind(
    "darknet's list of layers (.cfg)",
    "which comes with the .weights",
    "detect --model takes it first: net.cfg,net.weights",
)
DARKNET_WEIGHTS = FileKind(
    "darknet's weights (.weights)", "which come with a .cfg", "detect --model takes them second: net.cfg,net.weights"
)
PICTURE = FileKind("a picture", "such as a PNG or JPEG", "detect takes pictures")
ANNOTATIONS = FileKind(
    "annotations of COCO", "which come with a folder of pictures", "evaluate-detector takes them as --annotations"
)
PICKLE = FileKind(
    "a pickle of Python objects", "which Python writes", "it is not read, because reading one can run any code"
)
PAGE = FileKind("a web page", "which a browser saves", "download the file itself")
POINTER = FileKind(
    "a pointer of Git LFS", "which Git leaves in the place of a large file", "get that with git lfs pull"
)
FOLDER = FileKind("a folder", "which holds files", "give a file in it")

#: First bytes that say what a file is.
_BEGINNINGS = {
    b"\x89HDF\r\n\x1a\n": NIR,
    b"\x93NUMPY": SAMPLES,
    b"\x89PNG\r\n\x1a\n": PICTURE,
    b"\xff\xd8\xff": PICTURE,
    b"GIF8": PICTURE,
    b"II*\x00": PICTURE,
    b"MM\x00*": PICTURE,
    b"version https://git-lfs.github.com/": POINTER,
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.": WEIGHTS,  # of torch before its archives
    b"\x80\x02": PICKLE,
    b"\x80\x03": PICKLE,
    b"\x80\x04": PICKLE,
    b"\x80\x05": PICKLE,
}
#: Bytes of a file that are looked at, and of JSON in or as a file.
_HEAD, _MOST_JSON = 2**16, 2**26
#: Versions that darknet has written at the beginning of weights.
_DARKNET_VERSIONS = ((0, 1), (0, 2))


def kind_of(path: str | os.PathLike[str]) -> FileKind | None:
    """The kind of the file ``path``; ``None`` for one that is not known or not regular, and where none can be read."""
    try:
        if Path(path).is_dir():
            return FOLDER
        if not Path(path).is_file():  # opening a pipe would wait for somebody to write
            return None
        with Path(path).open("rb") as stream:
            return _kind(stream, os.fstat(stream.fileno()).st_size)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, zipfile.BadZipFile, NotImplementedError):
        return None


def unreadable(path: str | os.PathLike[str], wanted: FileKind, reason: object) -> str:
    """Why ``path`` cannot be read as a ``wanted`` file: it is missing, or of another kind, or the ``reason``."""
    if not os.path.lexists(path):
        return f"{path} cannot be read: there is no such file"
    found = kind_of(path)
    if found is FOLDER:
        return f"{path} cannot be read: it is a folder; {FOLDER.taken}"
    if found not in (None, wanted):
        return f"{path} cannot be read as {wanted.name}, {wanted.made}: it holds {found.name}; {found.taken}"
    return f"{path} cannot be read as {wanted.name}: {reason}"


def _kind(stream: BinaryIO, size: int) -> FileKind | None:
    head = stream.read(_HEAD)
    for beginning, kind in _BEGINNINGS.items():
        if head.startswith(beginning):
            return NETX if kind is NIR and f"\0{NETX.format}\0".encode() in head else kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return PICTURE
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_archive(stream)
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and length <= min(size - 8, _MOST_JSON):
        stream.seek(8)
        return _kind_of_tensors(json.loads(stream.read(length)))
    if b"\x00" in head:
        return DARKNET_WEIGHTS if _is_darknet(head, size) else None
    return _kind_of_text(head.decode("utf-8-sig", errors="replace"), stream, size)


def _kind_of_archive(stream: BinaryIO) -> FileKind | None:
    with zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
    arrays = {name.removesuffix(".npy") for name in names if name.endswith(".npy")}
    if arrays:
        return BUNDLE if {"manifest", "network"} <= arrays else SAMPLES
    parts = {name.partition("/")[2] for name in names} | set(names)
    if parts & {"archive_format", "serialized_exported_program.json"}:
        return PROGRAM
    if "constants.pkl" in parts:
        return SCRIPT
    return WEIGHTS if "data.pkl" in parts else None


def _kind_of_tensors(header: Mapping[str, Mapping[str, str]]) -> FileKind:
    """The kind of a safetensors file with this header."""
    written = header.get("__metadata__", {}).get("format", "")
    for kind in (NETWORK, CHECKPOINT):
        if written.partition(",")[0] == kind.format:
            return kind
    return SAMPLES if "inputs" in header else WEIGHTS


def _kind_of_text(text: str, stream: BinaryIO, size: int) -> FileKind | None:
    lines = [line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;"]
    first = lines[0].lower() if lines else ""
    if "".join(first.split()) in ("[net]", "[network]"):
        return CONFIG
    if first.startswith(("<!doctype html", "<html")):
        return PAGE
    if first.startswith("{") and size <= _MOST_JSON:
        stream.seek(0)
        content = json.loads(stream.read())
        if content.get("format") == SWEEP.format:
            return SWEEP
        if {"images", "annotations"} <= content.keys():
            return ANNOTATIONS
    return None


def _is_darknet(head: bytes, size: int) -> bool:
    if len(head) < 20:
        return False
    major, minor, revision = struct.unpack_from("<3i", head)
    wide = minor >= 2  # the number of images seen takes eight bytes then, and four before
    return (major, minor) in _DARKNET_VERSIONS and 0 <= revision < 10 and (size - (20 if wide else 16)) % 4 == 0
