"""Samples, recordings of events and citation graphs."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import safetensors.torch
import torch

from snnconv.data import load_planetoid
from snnconv.data.events import read_events
from snnconv.data.file_kinds import SAMPLES
from snnconv.data.files import load_samples
from tests.fuzz.formats.format import FileFormat, safetensors_parts
from tests.fuzz.mutation.archives import altered_npy, altered_npz, bomb, npy_of, npz_of
from tests.fuzz.mutation.arrays import altered_arrays
from tests.fuzz.mutation.octets import altered_bytes
from tests.snnconv.data.test_planetoid import arrays


def _samples() -> dict[str, np.ndarray]:
    return {"inputs": np.linspace(0, 1, 60, dtype=np.float32).reshape(5, 3, 4), "targets": np.arange(5)}


def altered_tensors(content: bytes, random: Random) -> bytes:
    """Other tensors in a safetensors file, or a header of another text and its length."""
    if random.random() < 0.3:
        length = int.from_bytes(content[:8], "little")
        header = altered_bytes(content[8 : 8 + length], random)
        return len(header).to_bytes(8, "little") + header + content[8 + length :]
    metadata, tensors = safetensors_parts(content)
    altered = altered_arrays({name: tensor.numpy() for name, tensor in tensors.items()}, random)
    return safetensors.torch.save({name: torch.from_numpy(each.copy()) for name, each in altered.items()}, metadata)


def _make_tensors(folder: Path) -> None:
    tensors = {name: torch.from_numpy(array) for name, array in _samples().items()}
    safetensors.torch.save_file(tensors, folder / "samples.safetensors")


def _make_graph(folder: Path) -> None:
    (folder / "graph.npz").write_bytes(npz_of(arrays()))


def _make_events(folder: Path) -> None:
    events = [[x, 33 - x, 128 * (x % 2), x, 7 * x] for x in range(34)]
    (folder / "events.bin").write_bytes(np.array(events, dtype=np.uint8).tobytes())


FORMATS = (
    FileFormat(
        name="samples, .npz",
        file="samples.npz",
        make=lambda folder: (folder / "samples.npz").write_bytes(npz_of(_samples())),
        read=load_samples,
        opens=("snnconv/data/arrays.py",),
        alterations=(altered_npz,),
        kind=SAMPLES,
        bomb=bomb,
    ),
    FileFormat(
        name="samples, .npy",
        file="samples.npy",
        make=lambda folder: (folder / "samples.npy").write_bytes(npy_of(_samples()["inputs"])),
        read=load_samples,
        opens=("snnconv/data/arrays.py",),
        alterations=(altered_npy,),
        kind=SAMPLES,
    ),
    FileFormat(
        name="samples, .safetensors",
        file="samples.safetensors",
        make=_make_tensors,
        read=load_samples,
        opens=("snnconv/data/files.py",),
        alterations=(altered_tensors,),
        kind=SAMPLES,
    ),
    FileFormat(
        name="citation graph, .npz",
        file="graph.npz",
        make=_make_graph,
        read=load_planetoid,
        opens=("snnconv/data/arrays.py",),
        alterations=(altered_npz,),
        bomb=bomb,
    ),
    FileFormat(
        name="events, .bin",
        file="events.bin",
        make=_make_events,
        read=read_events,
        opens=("snnconv/data/events.py",),
        alterations=(altered_bytes,),
    ),
)
