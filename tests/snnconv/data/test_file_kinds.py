"""Kinds of files are told by their content, whatever their names, and errors say which command takes them."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import nn

import snnconv
from snnconv.data import file_kinds
from snnconv.data.file_kinds import FileKind, kind_of, unreadable
from snnconv.data.files import load_samples
from snnconv.detection import load_darknet
from snnconv.detection.data.images import read_image
from snnconv.training.checkpoint import Checkpoint
from tests.support.conversion import converted
from tests.support.networks import Perceptron, draw, prepared
from tests.support.written_files import WRITERS

TENSORS = {"first.weight": torch.ones(2, 3)}


def network(path: Path) -> None:
    converted("kinds", lambda: (prepared(Perceptron, torch.float32), draw(40, 6, dtype=torch.float32))).save(path)


def checkpoint(path: Path) -> None:
    model = nn.Linear(2, 1)
    Checkpoint(path, {"of": "test"}).write(model, {}, torch.optim.SGD(model.parameters(), lr=0.1), [])


def failed_batch(path: Path) -> None:
    Checkpoint(path, {}).kept_failure(TENSORS)
    path.with_name(path.name + ".failed").rename(path)


def program(path: Path) -> None:
    torch.export.save(torch.export.export(nn.Linear(3, 2), (torch.ones(2, 3),)), path.with_suffix(".pt2"))
    path.with_suffix(".pt2").rename(path)


def saved(save: Callable[..., object], *arrays: np.ndarray, **named: np.ndarray) -> Callable[[Path], object]:
    """Arrays in a file without the ending that numpy would add."""

    def write(path: Path) -> None:
        with path.open("wb") as stream:
            save(stream, *arrays, **named)

    return write


def archive(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, "")


def darknet_weights(path: Path) -> None:
    path.write_bytes(struct.pack("<3iq", 0, 2, 5, 1000) + bytes(40))


KINDS: dict[str, tuple[FileKind | None, Callable[[Path], object]]] = {
    "network": (file_kinds.NETWORK, network),
    "checkpoint": (file_kinds.CHECKPOINT, checkpoint),
    "failed batch": (file_kinds.CHECKPOINT, failed_batch),
    "program": (file_kinds.PROGRAM, program),
    "safetensors weights": (file_kinds.WEIGHTS, lambda path: safetensors.torch.save_file(TENSORS, path)),
    "torch weights": (file_kinds.WEIGHTS, lambda path: torch.save(TENSORS, path)),
    "older torch weights": (
        file_kinds.WEIGHTS,
        lambda path: torch.save(TENSORS, path, _use_new_zipfile_serialization=False),
    ),
    "safetensors samples": (
        file_kinds.SAMPLES,
        lambda path: safetensors.torch.save_file({"inputs": torch.ones(2, 3)}, path),
    ),
    "npz": (file_kinds.SAMPLES, saved(np.savez, inputs=np.ones(3))),
    "npy": (file_kinds.SAMPLES, saved(np.save, np.ones(3))),
    "bundle": (
        file_kinds.BUNDLE,
        saved(np.savez, manifest=np.array("{}"), network=np.ones(3), digest=np.array("")),
    ),
    "nir": (file_kinds.NIR, lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))),
    "netx": (file_kinds.NETX, WRITERS["hw_export/netx/exporting.py"]),
    "cfg": (file_kinds.CONFIG, lambda path: path.write_text("# a detector\n\n [ net ]\nwidth=8\n")),
    "darknet weights": (file_kinds.DARKNET_WEIGHTS, darknet_weights),
    "sweep": (file_kinds.SWEEP, lambda path: path.write_text('{"format": "snnconv sweep", "version": 1}')),
    "annotations": (
        file_kinds.ANNOTATIONS,
        lambda path: path.write_text(json.dumps({"images": [], "annotations": [], "categories": []})),
    ),
    "png": (file_kinds.PICTURE, lambda path: Image.new("RGB", (4, 4)).save(path, "PNG")),
    "jpeg": (file_kinds.PICTURE, lambda path: Image.new("RGB", (4, 4)).save(path, "JPEG")),
    "webp": (file_kinds.PICTURE, lambda path: Image.new("RGB", (4, 4)).save(path, "WEBP")),
    "pickle": (file_kinds.PICKLE, lambda path: path.write_bytes(b"\x80\x04\x95\x00.")),
    "page": (file_kinds.PAGE, lambda path: path.write_text("<!DOCTYPE html>\n<html>not found</html>")),
    "pointer": (
        file_kinds.POINTER,
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid 1\n"),
    ),
    "folder": (file_kinds.FOLDER, lambda path: path.mkdir()),
    "empty": (None, lambda path: path.write_bytes(b"")),
    "prose": (None, lambda path: path.write_text("hello")),
    "zeros": (None, lambda path: path.write_bytes(bytes(100))),
    "cut archive": (None, lambda path: path.write_bytes(b"PK\x03\x04 no archive")),
    "other archive": (None, lambda path: archive(path, "a.txt")),
    "broken header": (None, lambda path: path.write_bytes(struct.pack("<Q", 9) + b'{"a": [1}' + bytes(8))),
    "odd header": (None, lambda path: path.write_bytes(struct.pack("<Q", 23) + b'{"__metadata__": [1,2]}')),
    "broken json": (None, lambda path: path.write_text('{"format": ')),
    "missing": (None, lambda path: None),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_is_known_by_its_content(name: str, tmp_path: Path) -> None:
    expected, write = KINDS[name]
    write(tmp_path / "file")
    assert kind_of(tmp_path / "file") is expected


def test_a_torchscript_program_is_told_from_weights(tmp_path: Path) -> None:
    archive(tmp_path / "model.pt", "model/data.pkl", "model/code/__torch__.py", "model/constants.pkl")
    assert kind_of(tmp_path / "model.pt") is file_kinds.SCRIPT


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a spiking network, which convert writes": ("samples", snnconv.load),
    "samples, arrays named": ("network", lambda path: load_samples(path)),
    "darknet's list of layers": ("picture", load_darknet),
    "a picture, such as": ("network", read_image),
}


@pytest.mark.parametrize("wanted", READERS)
def test_a_reader_says_what_the_file_is_and_what_takes_it(wanted: str, tmp_path: Path) -> None:
    kind, read = READERS[wanted]
    path = tmp_path / "file.bin"
    {"samples": KINDS["npy"][1], "network": network, "picture": KINDS["png"][1]}[kind](path)
    found = {"samples": file_kinds.SAMPLES, "network": file_kinds.NETWORK, "picture": file_kinds.PICTURE}[kind]
    with pytest.raises(snnconv.SnnconvError) as caught:
        read(path)
    assert f"file.bin cannot be read as {wanted}" in str(caught.value)
    assert f"it holds {found.name}; {found.taken}" in str(caught.value)


def test_what_is_missing_is_called_missing_and_what_is_sound_keeps_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    assert unreadable(path, file_kinds.SAMPLES, "x") == f"{path} cannot be read: there is no such file"
    assert unreadable(tmp_path, file_kinds.SAMPLES, "x").endswith("it is a folder; give a file in it")
    np.save(path, np.array([None], dtype=object), allow_pickle=True)
    with pytest.raises(
        snnconv.InputError, match=r"a\.npy cannot be read as samples: it holds Python objects, not numbers"
    ):
        load_samples(path)
