"""Files that are broken, altered or of another kind are refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

import snnconv
from coding import FewSpike
from snnconv.storage.signed import signature
from tests.snnconv.storage.test_storage import STEPS
from tests.support.networks import network_of


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(snnconv.StorageError, match=r"network\.snn cannot be read"):
        snnconv.load(saved)


def test_an_altered_byte_of_a_tensor_is_noticed(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-5] ^= 1
    saved.write_bytes(content)
    with pytest.raises(snnconv.StorageError, match="altered"):
        snnconv.load(saved)


def test_an_altered_byte_of_the_manifest_is_noticed(saved: Path) -> None:
    content = saved.read_bytes()
    position = content.index(b"layers.1")
    saved.write_bytes(content[:position] + b"l" + b"A" + content[position + 2 :])
    with pytest.raises(snnconv.StorageError, match="altered"):
        snnconv.load(saved)


def rewritten(path: Path, change: Callable[[dict[str, Any]], None], version: str = "4") -> None:
    """The file with another manifest and a checksum that fits it, as somebody with bad intentions would write it."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = safetensors.torch.load_file(path)
    manifest = json.loads(metadata["manifest"])
    change(manifest)
    text = json.dumps(manifest)
    metadata = {**metadata, "manifest": text, "sha256": signature(text, tensors), "version": version}
    safetensors.torch.save_file(tensors, path, metadata)


def test_a_file_of_a_future_version_asks_for_an_update(saved: Path) -> None:
    rewritten(saved, lambda manifest: None, version="5")
    with pytest.raises(snnconv.StorageError, match="update snnconv"):
        snnconv.load(saved)


def set_operator(manifest: dict[str, Any]) -> None:
    manifest["nodes"][0][1] = "os.system"


def set_argument(manifest: dict[str, Any]) -> None:
    manifest["nodes"][0][2]["input"] = {"eval": "1"}


def set_reference(manifest: dict[str, Any]) -> None:
    manifest["nodes"][0][2]["input"] = {"ref": "nobody"}


def set_output(manifest: dict[str, Any]) -> None:
    manifest["output"] = {"ref": "nobody"}


def set_neuron(manifest: dict[str, Any]) -> None:
    manifest["populations"][0]["neuron"]["name"] = "subprocess.Popen"


def set_neuron_field(manifest: dict[str, Any]) -> None:
    manifest["populations"][0]["neuron"]["fields"]["reset"] = "never"


def set_code(manifest: dict[str, Any]) -> None:
    manifest["hidden"] = {"name": "dict", "fields": {}}


def set_steps(manifest: dict[str, Any]) -> None:
    manifest["hidden"]["fields"]["steps"] = -1


def set_node_name(manifest: dict[str, Any]) -> None:
    manifest["nodes"][1][0] = manifest["nodes"][0][0]


def set_population(manifest: dict[str, Any]) -> None:
    manifest["populations"].pop()


def set_source(manifest: dict[str, Any]) -> None:
    manifest["nodes"][0][4][0] = 7


def set_axis(manifest: dict[str, Any]) -> None:
    manifest["inputs"][0][1].reverse()


def set_neuron_code(manifest: dict[str, Any]) -> None:
    manifest["populations"][0]["neuron"]["fields"]["code"] = 3


def set_channel_axis(manifest: dict[str, Any]) -> None:
    manifest["populations"][0]["channel_axis"] = 9


def drop_densities(manifest: dict[str, Any]) -> None:
    manifest["densities"] = {}


def drop_populations(manifest: dict[str, Any]) -> None:
    del manifest["populations"]


@pytest.mark.parametrize(
    "change",
    [
        set_operator,
        set_argument,
        set_reference,
        set_output,
        set_neuron,
        set_neuron_field,
        set_code,
        set_steps,
        set_node_name,
        set_population,
        set_axis,
        set_source,
        drop_populations,
        set_neuron_code,
        set_channel_axis,
        drop_densities,
    ],
)
def test_a_manifest_with_something_unknown_is_refused(saved: Path, change: Callable[[dict[str, Any]], None]) -> None:
    rewritten(saved, change)
    with pytest.raises(snnconv.StorageError, match="holds no valid network"):
        snnconv.load(saved)


#: What adds up to numbers without end, or to text of any length, without a tensor.
ENDLESS: dict[str, list[dict[str, Any]]] = {
    "a tower": [{"self": 0, "other": 3, "alpha": 3}, *[{"self": 0, "other": {"ref": "0"}, "alpha": {"ref": "0"}}] * 40],
    "text": [{"self": "", "other": "a", "alpha": 10**10}],
}


@pytest.mark.parametrize("name", ENDLESS)
def test_sums_of_what_is_no_tensor_are_refused_before_they_grow(name: str, saved: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        for number, given in enumerate(ENDLESS[name]):
            before = {"ref": str(number - 1)}
            arguments = {key: before if isinstance(value, dict) else value for key, value in given.items()}
            manifest["nodes"].insert(number, [str(number), "add", arguments, None, ["", 0, "", "", ""]])

    rewritten(saved, change)
    with pytest.raises(snnconv.StorageError, match="add adds a tensor"):
        snnconv.load(saved)


def test_a_stride_that_torch_takes_without_values_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.snn"
    network_of("residual", 6).save(path)

    def set_stride(manifest: dict[str, Any]) -> None:
        (_, _, arguments, _, _) = next(node for node in manifest["nodes"] if "conv" in node[1])
        arguments["stride"] = [1, 1, 1]

    rewritten(path, set_stride)
    with pytest.raises(snnconv.StorageError, match="holds no valid network: expected stride"):
        snnconv.load(path)


def change(*path: Any) -> Callable[[dict[str, Any]], None]:
    """A change of the manifest: the last of ``path`` is put where the others lead."""

    def put(manifest: Any) -> None:
        *way, last, value = path
        for step in way:
            manifest = manifest[step]
        manifest[last] = value

    return put


#: Changes of a network of a convolution, ReLU, max pooling and a linear layer, and what the refusal says.
IMPOSSIBLE: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a window without end": (change("hidden", "fields", "steps", 10**9), "window of 1000000000 steps is longer than"),
    "spikes without end": (
        change("hidden", "fields", {"steps": 2**12, "spikes": 2**11, "base": 1.5}),
        "window of 4096 steps with up to 2048 spikes is more than is computed",
    ),
    "a schedule without end": (
        change("schedule", {"name": "concurrent", "fields": {"steps": 10**12}}),
        "of 1000000000000 steps is longer than",
    ),
    "a neuron of what is no number": (
        change("populations", 0, "neuron", "fields", "initial_potential", {"ref": "input"}),
        "has a field that is no plain value",
    ),
    "a node of another shape": (change("nodes", 0, 3, 2, 7), r"'conv2d' is said to have the shape \(2, 4, 7, 8\)"),
    "a node of no shape": (change("nodes", 0, 3, None), "said to have the shape None"),
    "no batch": (change("nodes", 0, 3, 0, 0), r"said to have the shape \(0, 4, 8, 8\)"),
    "a stride that meta tensors take": (change("nodes", 2, 2, "stride", -1), "stride"),
    "an axis beyond all": (change("nodes", 3, 2, "start_dim", 2**31), "Dimension out of range"),
    "a number as output": (change("output", 0.5), "the output holds no tensor"),
    "terabytes": (change("nodes", 0, 2, "padding", [2**20, 2**20]), "shape|numbers"),
    "a population that is inserted": (change("populations", 0, "inserted", True), "inserted=True, as relu"),
    "densities below zero": (change("densities", "relu", -5.0), "density of 'relu' is -5.0, which is no share"),
    "densities above one": (change("densities", "x", 1.5), "which is no share"),
    "an input of another shape": (change("input_shapes", 0, 1, 9), "inputs have the shapes"),
}


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_a_network_that_cannot_run_is_refused_when_it_is_read(kind: str, convolutional: bytes, tmp_path: Path) -> None:
    path = tmp_path / "network.snn"
    path.write_bytes(convolutional)
    snnconv.load(path)
    rewritten(path, IMPOSSIBLE[kind][0])
    with pytest.raises(snnconv.StorageError, match=rf"network\.snn holds no valid network: .*({IMPOSSIBLE[kind][1]})"):
        snnconv.load(path)


@pytest.fixture(scope="module")
def convolutional(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("convolutional") / "network.snn"
    layers = (nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3))
    snnconv.convert(nn.Sequential(*layers).eval(), torch.rand(40, 2, 8, 8), coding=FewSpike(4)).save(path)
    return path.read_bytes()


@pytest.mark.parametrize("value", [-1.0, 0.0, float("nan"), float("inf")])
def test_scales_that_cannot_be_are_refused(saved: Path, value: float) -> None:
    with safetensors.safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    tensors = safetensors.torch.load_file(saved)
    name = next(name for name in tensors if name.startswith("scale."))
    tensors[name][0] = value
    metadata["sha256"] = signature(metadata["manifest"], tensors)
    safetensors.torch.save_file(tensors, saved, metadata)
    with pytest.raises(snnconv.StorageError, match="scales that are not positive"):
        snnconv.load(saved)


def test_files_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(snnconv.StorageError, match="cannot be read"):
        snnconv.load(path)
    path.write_text("a text file\n")
    with pytest.raises(snnconv.StorageError, match="cannot be read"):
        snnconv.load(path)
    torch.save({"a": torch.ones(3)}, path)
    with pytest.raises(snnconv.StorageError, match="cannot be read"):
        snnconv.load(path)
    safetensors.torch.save_file({"a": torch.ones(3)}, path)
    with pytest.raises(snnconv.StorageError, match="it holds weights of a model, or other tensors; convert takes them"):
        snnconv.load(path)
    with pytest.raises(snnconv.StorageError, match="cannot be read"):
        snnconv.load(tmp_path)


def test_a_folder_that_is_missing_or_no_folder_is_reported(saved: Path) -> None:
    for path in (saved.parent / "missing" / "network.snn", saved / "network.snn"):
        with pytest.raises(snnconv.StorageError, match="cannot be written"):
            network_of("deep", STEPS).save(path)
    with pytest.raises(snnconv.StorageError, match="cannot be written"):
        network_of("deep", STEPS).save(saved.parent)
    assert list(saved.parent.iterdir()) == [saved]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(snnconv.StorageError, match="cannot be written"):
            network_of("deep", STEPS).save(tmp_path / "network.snn")
    finally:
        tmp_path.chmod(0o755)
