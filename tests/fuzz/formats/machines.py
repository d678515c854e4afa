"""What is exchanged with other simulators: bundles for Lava, and NIR graphs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import h5py
import numpy as np
import torch
from torch import nn

import hw_export.lava.execution as execution
from coding import FunctionTable
from hw_export import lava, nir
from hw_export.c.program import program
from hw_export.lava.child import LavaError
from hw_export.lava.launch import MAIN, LavaResult
from snnconv import convert
from snnconv.data.file_kinds import BUNDLE, NIR
from tests.fuzz.formats.format import FileFormat
from tests.fuzz.mutation.archives import altered_archive, arrays_of, bomb, npz_of
from tests.fuzz.mutation.arrays import altered_array, altered_arrays
from tests.fuzz.mutation.octets import altered_bytes
from tests.fuzz.mutation.trees import altered_json
from tests.support.networks import network_of

sys.path.insert(0, str(MAIN.parent))

from lava_runtime.bundle import read_bundle
from lava_runtime.digest import digest
from lava_runtime.errors import BundleError

sys.path.remove(str(MAIN.parent))

#: Samples that a bundle is used for.
_SAMPLES = 2


def _make_bundle(folder: Path) -> None:
    lava.export(network_of("residual", 6), folder / "network.npz", samples=torch.rand(_SAMPLES, 2, 6, 6).double())


def _make_bundle_with_tables(folder: Path) -> None:
    layers = (nn.Conv2d(2, 3, 3), nn.SiLU(), nn.Conv2d(3, 2, 3), nn.Sigmoid(), nn.Flatten(), nn.Linear(8, 3))
    codes = {"silu": FunctionTable(5, spikes=2), "sigmoid": FunctionTable(4)}
    samples = torch.rand(20, 2, 6, 6).double()
    lava.export(convert(nn.Sequential(*layers).double(), samples, coding=codes), folder / "network.npz")


def _launched(path: Path, inputs: Any, **_: Any) -> LavaResult:
    """What Lava would give: zeros, of the shapes that the runtime finds in the bundle."""
    try:
        network = read_bundle(str(path))
    except BundleError as error:
        raise LavaError(str(error)) from error
    shapes = {part.name: part.shape for part in (*network.populations.values(), *network.gates.values())}
    return LavaResult(
        outputs={name: np.zeros((_SAMPLES, *each.shape), np.int64) for name, each in network.outputs.items()},
        spikes={name: np.zeros(shape, np.int64) for name, shape in shapes.items()},
        rasters={},
        seconds={},
        steps=network.steps,
        python="",
        lava="",
    )


def _run_bundle(path: Path) -> Any:
    with mock.patch.object(execution, "launch", _launched):
        found, _ = execution.run_bundle(path, torch.zeros(_SAMPLES, 2, 6, 6))
    return found


def _altered_bundle(content: bytes, random: Random) -> bytes:
    """Another manifest or other arrays, under a digest that fits."""
    arrays = arrays_of(content)
    text, network = str(arrays.pop("manifest")), arrays.pop("network")
    del arrays["digest"]
    kind = random.randrange(4)
    if kind == 0:
        arrays = altered_arrays(arrays, random)
    elif kind == 1:
        network = np.frombuffer(altered_bytes(network.tobytes(), random), np.uint8)
    else:
        text = altered_json(text.encode(), random).decode()
    if kind == 0 and random.random() < 0.7:
        manifest = json.loads(text)
        forms = {name: {"shape": list(each.shape), "dtype": each.dtype.name} for name, each in arrays.items()}
        text = json.dumps({**manifest, "arrays": forms | {"network": manifest["arrays"]["network"]}})
    signed = {"manifest": np.array(text), "digest": np.array(digest(text, arrays))}
    return npz_of({**signed, **arrays, "network": network})


def _make_graph(folder: Path) -> None:
    nir.export(network_of("residual", 6), folder / "network.nir")


def _run_graph(path: Path) -> Any:
    module = nir.load(path)
    like = next(module.parameters(), torch.zeros(()))
    output, rasters = module.run(torch.ones(_SAMPLES, *module.input_shape, dtype=like.dtype), steps=2)
    return module.steps, module.state_dict(), output, rasters


def _altered_hdf5(content: bytes, random: Random) -> bytes:
    """Another data set, attribute or group in an HDF5 file."""
    stream = io.BytesIO(content)
    with h5py.File(stream, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = random.choice(names)
        kind = random.randrange(6)
        if kind == 0:
            del file[name]
        elif kind == 1:
            file.move(name, random.choice((f"{name}x", "x", "node/x", "node/nodes/x/y")))
        elif kind == 2:
            file[f"{name}x"] = random.choice(
                (h5py.SoftLink("/"), h5py.SoftLink(f"/{name}x"), h5py.ExternalLink("/etc/passwd", "/"), np.ones(3))
            )
        elif isinstance(file[name], h5py.Dataset):
            value = file[name][()]
            del file[name]
            file[name] = _other(value, random)
    return stream.getvalue()


def _other(value: Any, random: Random) -> Any:
    if isinstance(value, bytes):
        texts = (b"", b"IF", b"LIF", b"Linear", b"Conv2d", b"Flatten", b"Input", b"NIRGraph", value + b"x", 3, "é")
        return random.choice(texts)
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        return random.choice((np.array([]), array.tolist()[::-1], array.tolist()[:-1] or 0, "x", 1.5))
    return altered_array(array, random)


def _bundles(kind: str, make: Callable[[Path], object]) -> tuple[FileFormat, FileFormat, FileFormat]:
    """A bundle of that kind, as the library and as the runtime reads it, and as it becomes a program in C."""
    read_here = FileFormat(
        name=f"Lava bundle{kind}",
        file="network.npz",
        make=make,
        read=_run_bundle,
        opens=("snnconv/data/arrays.py",),
        alterations=(_altered_bundle,),
        unsigned=(altered_bytes, altered_archive),
        kind=BUNDLE,
        signed=True,
        bomb=bomb,
    )
    read_there = replace(
        read_here,
        name=f"Lava bundle{kind}, in the runtime",
        read=lambda path: read_bundle(str(path)),
        opens=("hw_export/lava/runtime/lava_runtime/archive.py",),
        refusals=(BundleError,),
    )
    read_whole = replace(
        read_here, name=f"Lava bundle{kind}, as a program in C", read=lambda path: program(lava.read(path), "c").source
    )
    return read_here, read_there, read_whole


FORMATS = (
    *_bundles("", _make_bundle),
    *_bundles(" with tables", _make_bundle_with_tables),
    FileFormat(
        name="NIR graph",
        file="network.nir",
        make=_make_graph,
        read=_run_graph,
        opens=("hw_export/nir/files.py",),
        alterations=(_altered_hdf5,),
        kind=NIR,
    ),
)
