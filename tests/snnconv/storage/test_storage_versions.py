"""Formats of stored networks: older files still load, and what a file may say beside what this version knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor

import snnconv
from coding import FewSpike
from snnconv import SpikingNetwork
from snnconv.graph.operators import ACTIVATION_FUNCTIONS, PiecewiseLinear
from snnconv.storage.signed import signature
from tests.support.networks import make

#: Written in format 3: convolutions with ReLU and leaky ReLU, max pooling, and a linear layer with ReLU6.
FORMAT_3 = Path(__file__).parent / "format_3.safetensors"
Tensors = dict[str, Tensor]


def contents(path: Path) -> tuple[dict[str, str], dict[str, Any], Tensors]:
    """Metadata, manifest and tensors of a file."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
    return metadata, json.loads(metadata["manifest"]), safetensors.torch.load_file(path)


def written(path: Path, metadata: dict[str, str], manifest: Any, tensors: Tensors) -> Path:
    """A file with this content and a checksum that fits it."""
    text = json.dumps(manifest)
    metadata = metadata | {"manifest": text, "sha256": signature(text, tensors)}
    safetensors.torch.save_file(tensors, path, metadata)
    return path


def test_a_file_of_format_3_fires_the_spikes_that_it_fired_when_it_was_written() -> None:
    network = snnconv.load(FORMAT_3)
    values = torch.linspace(0, 1, 32, dtype=torch.float64).sqrt().flip(0)[torch.arange(32) * 7 % 32]
    run = network.run(values.view(2, 1, 4, 4))
    assert run.spikes == {"relu": 30, "leaky_relu": 64, "clamp": 23}
    assert run.synops == {"relu": 780, "leaky_relu": 64, "max_pool2d": 105, "clamp": 69}
    wanted = [
        [-0.3275891147495239, 1.1039768485697072, 0.2135767317319509],
        [-0.36297602871325807, 1.0577051847810304, 0.20353875244325076],
    ]
    torch.testing.assert_close(run.output, torch.tensor(wanted, dtype=torch.float64), rtol=1e-12, atol=1e-12)
    activations = {node: population.activation for node, population in network.populations.items()}
    assert activations == {
        "relu": PiecewiseLinear(),
        "leaky_relu": PiecewiseLinear(0.1),
        "relu6": PiecewiseLinear(maximum=6.0),
    }
    assert network.batch_axis == 0 and not network.tuned


@pytest.mark.parametrize("tuned", [False, True])
def test_a_file_of_format_3_is_saved_in_format_4_with_the_same_content(tuned: bool, tmp_path: Path) -> None:
    metadata, manifest, tensors = contents(FORMAT_3)
    old = snnconv.load(written(tmp_path / "old.snn", metadata, manifest | {"tuned": tuned}, tensors))
    assert old.tuned is tuned
    old.save(tmp_path / "new.snn")
    new_metadata, new_manifest, new_tensors = contents(tmp_path / "new.snn")
    assert (metadata["version"], new_metadata["version"]) == ("3", "4")
    assert new_manifest["flags"] == (["tuned"] if tuned else [])
    assert new_manifest["inputs"] == [["x", ["batch", *manifest["inputs"][0][1][1:]]]]
    same = manifest.keys() & new_manifest.keys() - {"populations", "inputs", "input_shapes"}
    assert {key: manifest[key] for key in same} == {key: new_manifest[key] for key in same}
    assert tensors.keys() == new_tensors.keys()
    assert all(torch.equal(tensors[name], new_tensors[name]) for name in tensors)
    assert snnconv.load(tmp_path / "new.snn").tuned is tuned


@pytest.mark.parametrize("version", ["0", "2"])
def test_a_file_of_an_older_format_asks_for_another_conversion(version: str, tmp_path: Path) -> None:
    metadata, manifest, tensors = contents(FORMAT_3)
    path = written(tmp_path / "old.snn", metadata | {"version": version}, manifest, tensors)
    with pytest.raises(snnconv.StorageError, match=f"format version {version}.*convert the model again"):
        snnconv.load(path)


Change = Callable[[dict[str, Any], Tensors], Any]
UNKNOWN_IN_FORMAT_3: dict[str, Change] = {
    "another entry": lambda m, t: m.update(products=[]),
    "an axis that there is not": lambda m, t: m.update(batch_axis=1),
    "an entry that is missing": lambda m, t: m.pop("tuned"),
    "an activation with another field": lambda m, t: m["populations"][0]["activation"].update(offset=1.0),
    "an activation that cannot be": lambda m, t: m["populations"][0]["activation"].update(negative_slope=2.0),
}


@pytest.mark.parametrize("kind", UNKNOWN_IN_FORMAT_3)
def test_what_format_3_does_not_hold_is_refused(kind: str, tmp_path: Path) -> None:
    metadata, manifest, tensors = contents(FORMAT_3)
    UNKNOWN_IN_FORMAT_3[kind](manifest, tensors)
    with pytest.raises(snnconv.StorageError, match="holds no valid network"):
        snnconv.load(written(tmp_path / "network.snn", metadata, manifest, tensors))


def both_codes(manifest: dict[str, Any], field: str, value: object) -> None:
    """A field of the first population's code, and of its neuron's."""
    entry = manifest["populations"][0]
    entry["code"]["fields"][field] = value
    entry["neuron"]["fields"]["code"]["code"]["fields"][field] = value


WEIGHT, SCALE = "constant.layers.2.weight", "scale.relu"
#: Changes of a sound file in format 4, and what the refusal says.
REFUSED: dict[str, tuple[Change, str]] = {
    "another entry": (lambda m, t: m.update(products=[]), "unknown entries: 'products'"),
    "another entry of a population": (
        lambda m, t: m["populations"][0].update(trace=True),
        "unknown entries of a population: 'trace'",
    ),
    "another flag": (lambda m, t: m["flags"].append("pruned"), "unknown flags: 'pruned'"),
    "another free axis": (lambda m, t: m.update(input_shapes=[["batch", "width"]]), "inputs have the shapes"),
    "another batch axis": (lambda m, t: m["inputs"][0].__setitem__(1, [6, "batch"]), "have no common batch axis"),
    "no batch axis": (lambda m, t: m["inputs"][0].__setitem__(1, [2, 6]), "holds no valid network"),
    "another activation function": (
        lambda m, t: m["populations"][0]["activation"].update(name="os.system"),
        "activation 'os.system' is not registered",
    ),
    "an activation that its node is not": (
        lambda m, t: m["populations"][0]["activation"]["fields"].update(negative_slope=0.5),
        "another activation than its node",
    ),
    **{
        f"another {name}": (lambda m, t, name=name: t.update({name: torch.ones(1)}), rf"unknown tensors \['{name}'\]")
        for name in ("constant.unused", "front.unused", "range.9.0", "range.0.2", "tables.nobody")
    },
    "another tensor": (lambda m, t: t.update({"scale.nobody": torch.ones(1)}), r"unknown tensors \['scale.nobody'\]"),
    "windows of 10^9 steps": (lambda m, t: both_codes(m, "steps", 10**9), "window of 1000000000 steps is longer"),
    "a plan of 10^9 steps": (lambda m, t: m["hidden"]["fields"].update(steps=10**9), "window of 1000000000 steps"),
    "weights in another precision": (lambda m, t: t.update({WEIGHT: t[WEIGHT].half()}), "is of type torch.float16"),
    "weights in integers": (lambda m, t: t.update({WEIGHT: t[WEIGHT].long()}), "is of type torch.int64"),
    "weights of another shape": (lambda m, t: t.update({WEIGHT: t[WEIGHT][:, 1:].contiguous()}), "holds no valid"),
    "scales that are truth values": (lambda m, t: t.update({SCALE: t[SCALE] > 0}), "scales are of type torch.bool"),
    "shifts in another precision": (
        lambda m, t: t.update({"shift.relu": t["shift.relu"].half()}),
        "is of type torch.float16",
    ),
    "an input of another shape": (lambda m, t: m.update(input_shapes=[["batch", 7]]), "inputs have the shapes"),
    "a graph for another input": (
        lambda m, t: m.update(input_shapes=[["batch", 7]], inputs=[["x", ["batch", 7]]]),
        "holds no valid network",
    ),
    "neurons that the currents do not fit": (
        lambda m, t: m["populations"][0].update(shape=[16, 1]),
        r"its currents of shape \[16\]",
    ),
    "densities below 0": (lambda m, t: m["densities"].update(relu=-5.0), "which is no share"),
    "densities above 1": (lambda m, t: m["densities"].update(relu=1.5), "which is no share"),
    "densities that are no number": (lambda m, t: m["densities"].update(relu=float("nan")), "which is no share"),
    "no manifest": (lambda m, t: m.clear(), "holds no valid network"),
}


@pytest.fixture(scope="module")
def network() -> SpikingNetwork:
    model, x = make("deep")
    return snnconv.convert(model, x, coding=FewSpike(5))


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_whose_content_makes_no_sense_is_refused(kind: str, network: SpikingNetwork, tmp_path: Path) -> None:
    change, message = REFUSED[kind]
    network.save(tmp_path / "network.snn")
    metadata, manifest, tensors = contents(tmp_path / "network.snn")
    change(manifest, tensors)
    with pytest.raises(snnconv.StorageError, match=message):
        snnconv.load(written(tmp_path / "network.snn", metadata, manifest, tensors))


@dataclass(frozen=True)
class Scaled(PiecewiseLinear):
    """An activation function of a user."""

    offset: float = 0.0
    name: ClassVar[str] = "scaled"


def test_an_activation_function_must_be_registered_to_be_stored(
    network: SpikingNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = replace(network.populations["relu"], activation=Scaled(offset=0.5))
    monkeypatch.setitem(network._populations, "relu", own)
    with pytest.raises(
        snnconv.StorageError,
        match=r"activation Scaled is .*with snnconv\.graph\.operators\.register_activation_function, ",
    ):
        network.save(tmp_path / "network.snn")
    monkeypatch.setitem(ACTIVATION_FUNCTIONS, Scaled.name, Scaled)
    network.save(tmp_path / "network.snn")
    _, manifest, _ = contents(tmp_path / "network.snn")
    stored = manifest["populations"][0]["activation"]
    assert stored == {"name": "scaled", "fields": {"negative_slope": 0.0, "maximum": None, "offset": 0.5}}
    with pytest.raises(snnconv.StorageError, match="another activation than its node"):
        snnconv.load(tmp_path / "network.snn")
