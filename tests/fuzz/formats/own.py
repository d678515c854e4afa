"""The project's own files: networks, checkpoints, and figures of sweeps."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from random import Random
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

import snnconv
from coding import FewSpike, Rate
from snnconv import Sweep
from snnconv.cli.config_file import read_options
from snnconv.data.file_kinds import CHECKPOINT, NETWORK, SWEEP
from snnconv.data.shapes import BATCH, concrete
from snnconv.detection import load_darknet, train_detector
from snnconv.detection.shapes import draw_shapes
from snnconv.graph.graph import WHOLE_TYPES
from snnconv.reporting.contents import Contents
from snnconv.reporting.export_file import read_export
from snnconv.reporting.fits import fit_part
from snnconv.storage.manifest import manifest_of, tensors_of
from snnconv.storage.signed import signature
from tests.fuzz.formats.format import FileFormat, safetensors_parts
from tests.fuzz.mutation.arrays import altered_arrays
from tests.fuzz.mutation.texts import altered_text
from tests.fuzz.mutation.trees import altered_json
from tests.snnconv.learning.training_runs import trained
from tests.snnconv.tuning.tuned_networks import converted, disturbed_copy, images
from tests.support.darknet_configs import written
from tests.support.networks import make, network_of, zoo

_OPTIONS = 'model = "own:build"\nsteps = [4, 8.5]\nanalog = ["head"]\nbias-correction = false\n'
#: Time steps that a network is run for, at most, to see whether it can be.
_STEPS = 3


def _read_network(path: Path) -> Any:
    network = snnconv.load(path)
    front, sizes = network.graph.front, {BATCH: 2, **{f"axis {axis}": 2 for axis in range(9)}}
    if front is None:
        inputs = [torch.rand(concrete(shape, sizes)).to(network.like) for shape in network.input_shapes]
    else:
        types = dict.fromkeys(front.inputs, network.like.dtype)
        types |= {name: WHOLE_TYPES[kind] for name, kind in front.whole.items()}
        inputs = [torch.zeros(concrete(shape, sizes), dtype=types[name]) for name, shape in front.inputs.items()]
    network.run(inputs, steps=None if network.timing is not None else _STEPS)
    str(network)
    return manifest_of(network), tensors_of(network)


def _altered_tensors(tensors: dict[str, Tensor], random: Random) -> dict[str, Tensor]:
    arrays = altered_arrays({name: tensor.numpy() for name, tensor in tensors.items()}, random)
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def _altered_signed(content: bytes, random: Random) -> bytes:
    """Another text or other tensors, under a checksum that fits."""
    metadata, tensors = safetensors_parts(content)
    if random.random() < 0.3:
        tensors = _altered_tensors(tensors, random)
    else:
        metadata["manifest"] = altered_json(metadata["manifest"].encode(), random).decode()
    if random.random() < 0.05:
        metadata["version"] = random.choice(("3", "5", "04", "-4", "4.0", "4" * 30, ""))
    return safetensors.torch.save(tensors, metadata | {"sha256": signature(metadata["manifest"], tensors)})


def _tokens() -> Any:
    torch.manual_seed(0)
    layers = [nn.Embedding(9, 4), nn.Flatten(), nn.Linear(20, 6), nn.ReLU(), nn.Linear(6, 3)]
    return snnconv.convert(
        nn.Sequential(*layers).eval(), torch.arange(200).view(40, 5) % 9, coding=FewSpike(5, base=1.9)
    )


def _learnt(path: Path) -> Any:
    network, log = trained(epochs=2, checkpoint=path)
    return network, log


def _tuned(path: Path) -> Any:
    network = disturbed_copy(converted())
    tuned = snnconv.tune(network, images(40, 1), epochs=2, batch=20, checkpoint=path)
    return tensors_of(tuned), tuned.tuning_log


@functools.cache
def _shapes() -> Any:
    return draw_shapes(8, seed=0)


def _detector(path: Path) -> Any:
    from tests.snnconv.detection.test_training import MICRO

    network = load_darknet(written(path.parent, MICRO))
    log = train_detector(network, _shapes(), epochs=2, batch=8, checkpoint=path)
    return network, log


def _altered_sweep(content: bytes, random: Random) -> bytes:
    """Other results, or another frame around them, under checksums that fit."""
    found = json.loads(altered_json(content, random))
    results = found.get("results") if isinstance(found, dict) else None
    for label, entry in results.items() if isinstance(results, dict) else ():
        if isinstance(entry, dict):
            entry.pop("sha256", None)
            entry["sha256"] = signature(json.dumps([label, entry], sort_keys=True), {})
    return json.dumps(found).encode()


def _read_sweep(path: Path) -> Any:
    found = Sweep.load(path)
    return str(found), found.to_dict()


def _make_sweep(folder: Path) -> None:
    model, x = make("deep", samples=20)
    codings = {"rate 4": Rate(4), "few-spike 4": FewSpike(4, base=1.9)}
    snnconv.sweep(model, x, (x, torch.zeros(20, dtype=torch.int64)), codings, path=folder / "sweep.json")


def _make_export(folder: Path) -> None:
    figures = {
        "placements": [{"name": "relu", "neurons": 12, "where": "host", "built_in": True}] * 2,
        "cores": {"fewest": 1, "most": 2, "fit": "fits"},
        "ram": 100,
        "notes": ["biases were rounded"],
        "fidelity": {"integers": {"samples": 4, "error": math.nan, "agreement": None}},
    }
    (folder / "export.json").write_text(json.dumps(figures))


def _read_export(path: Path) -> Any:
    part = fit_part(Contents("export", network_of("deep"), export=read_export(path)))
    return part and part.content


def _checkpoint(of: str, use: Any) -> FileFormat:
    return FileFormat(
        name=f"checkpoint of {of}",
        file="run.checkpoint",
        make=lambda folder: use(folder / "run.checkpoint"),
        read=use,
        opens=("snnconv/storage/signed.py",),
        alterations=(_altered_signed,),
        kind=CHECKPOINT,
        signed=True,
    )


def _network(of: str, make: Any) -> FileFormat:
    return FileFormat(
        name=f".snn, {of}",
        file="network.snn",
        make=lambda folder: make().save(folder / "network.snn"),
        read=_read_network,
        opens=("snnconv/storage/signed.py",),
        alterations=(_altered_signed,),
        kind=NETWORK,
        signed=True,
    )


FORMATS = (
    _network("rate code", lambda: network_of("residual", 6)),
    _network("whole numbers in front", _tokens),
    _network("windows", lambda: zoo("residual", coding=FewSpike(5))),
    _checkpoint("learning", _learnt),
    _checkpoint("tuning", _tuned),
    _checkpoint("a detector", _detector),
    FileFormat(
        name="figures of an export",
        file="export.json",
        make=_make_export,
        read=_read_export,
        opens=("snnconv/reporting/export_file.py",),
        alterations=(altered_json,),
    ),
    FileFormat(
        name="figures of a sweep",
        file="sweep.json",
        make=_make_sweep,
        read=_read_sweep,
        opens=("snnconv/sweeps/file.py",),
        alterations=(_altered_sweep,),
        kind=SWEEP,
        signed=True,
    ),
    FileFormat(
        name="options of a sweep, .toml",
        file="sweep.toml",
        make=lambda folder: (folder / "sweep.toml").write_text(_OPTIONS, encoding="utf-8"),
        read=lambda path: read_options(
            path, {"model": False, "steps": False, "analog": True, "bias-correction": False}
        ),
        opens=("snnconv/cli/config_file.py",),
        alterations=(altered_text,),
    ),
)
