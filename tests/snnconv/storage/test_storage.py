"""Storage: the same spikes after a round trip, and no other file is taken for one of ours."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

import snnconv
from coding import Code, Rate
from neurons import NEURONS, IntegrateFire, UpdateCost, register_neuron
from snnconv import SpikingNetwork
from snnconv.storage import saving as storage
from tests.support.networks import ZOO, GraphConvolution, Named, TwoInputs, draw, make, network_of, prepared

STEPS = 12


def corrective() -> tuple[SpikingNetwork, Any]:
    return network_of("residual", STEPS, neuron="corrective"), make("residual")[1]


def poisson() -> tuple[SpikingNetwork, Any]:
    model, x = make("deep")
    return snnconv.convert(model, x, coding=Rate(STEPS), input="poisson"), x


def graph() -> tuple[SpikingNetwork, Any]:
    x = draw(6, 5)
    return snnconv.convert(prepared(GraphConvolution), x, coding=Rate(STEPS)), x


def named() -> tuple[SpikingNetwork, Any]:
    x = draw(20, 6)
    return snnconv.convert(prepared(Named), x, coding=Rate(STEPS)), x


def two_inputs() -> tuple[SpikingNetwork, Any]:
    x = (draw(20, 6), draw(20, 3))
    return snnconv.convert(prepared(TwoInputs), (x, torch.zeros(20)), coding=Rate(STEPS)), x


CASES: dict[str, Callable[[], tuple[SpikingNetwork, Any]]] = {
    "corrective neurons": corrective,
    "poisson input": poisson,
    "graph": graph,
    "dict": named,
    "two inputs": two_inputs,
}
CASES.update({name: lambda name=name: (network_of(name, STEPS), make(name)[1]) for name in ZOO})  # type: ignore[misc]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "network.snn"
    network_of("deep", STEPS).save(path)
    return path


def stored(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, framework="pt") as file:
        return dict(file.metadata())  # the checksum in it covers the tensors


@pytest.mark.parametrize("name", CASES)
def test_a_loaded_network_fires_the_same_spikes(name: str, tmp_path: Path) -> None:
    network, x = CASES[name]()
    network.save(tmp_path / "network.snn")
    loaded = snnconv.load(tmp_path / "network.snn")
    mine, theirs = (n.run(x, seed=1, record=["rasters"]) for n in (network, loaded))
    assert list(mine.rasters) == list(theirs.rasters)
    assert all(torch.equal(mine.rasters[key], theirs.rasters[key]) for key in mine.rasters)
    assert type(mine.output) is type(theirs.output)
    for a, b in zip(tree_leaves(mine.output), tree_leaves(theirs.output), strict=True):
        assert torch.equal(a, b)
    assert (mine.spikes, mine.synops, mine.input_spikes) == (theirs.spikes, theirs.synops, theirs.input_spikes)
    assert network.report() == loaded.report()
    assert loaded.plan == network.plan and loaded.input_shapes == network.input_shapes
    loaded.save(tmp_path / "again.snn")
    assert stored(tmp_path / "again.snn") == stored(tmp_path / "network.snn")


def test_a_file_loads_in_a_fresh_process_without_the_class(tmp_path: Path) -> None:
    network, x = CASES["residual"]()
    network.save(tmp_path / "network.snn")
    safetensors.torch.save_file({"x": x}, tmp_path / "x.safetensors")
    program = (
        "import sys, torch, snnconv, safetensors.torch as s\n"
        "x = s.load_file('x.safetensors')['x']\n"
        "s.save_file({'y': snnconv.load('network.snn')(x).contiguous()}, 'y.safetensors')\n"
        "assert not any(name.startswith('tests') for name in sys.modules)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True, timeout=120)
    assert torch.allclose(safetensors.torch.load_file(tmp_path / "y.safetensors")["y"], network(x), rtol=1e-10)


def test_the_file_is_plain_safetensors_and_names_no_folder(saved: Path) -> None:
    with safetensors.safe_open(saved, framework="pt") as file:
        metadata, names = file.metadata(), list(file.keys())
    assert metadata["format"] == "snnconv" and metadata["version"] == "4"
    manifest = json.loads(metadata["manifest"])
    assert {entry["name"] for entry in manifest["populations"]} == {"layers.1", "layers.3"}
    assert {name.split(".")[0] for name in names} == {"constant", "scale", "shift", "range"}
    assert str(Path(__file__).parent).encode() not in saved.read_bytes()


def test_a_saved_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        network_of("deep", STEPS).save(tmp_path / "network.snn")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "network.snn").stat().st_mode) == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["network.snn"]


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
    metadata = {**metadata, "manifest": text, "sha256": storage._digest(text, tensors), "version": version}
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


@pytest.mark.parametrize("value", [-1.0, 0.0, float("nan"), float("inf")])
def test_scales_that_cannot_be_are_refused(saved: Path, value: float) -> None:
    with safetensors.safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    tensors = safetensors.torch.load_file(saved)
    name = next(name for name in tensors if name.startswith("scale."))
    tensors[name][0] = value
    metadata["sha256"] = storage._digest(metadata["manifest"], tensors)
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
    with pytest.raises(snnconv.StorageError, match="not one that snnconv saved"):
        snnconv.load(path)
    with pytest.raises(snnconv.StorageError, match="cannot be read"):
        snnconv.load(tmp_path)


@pytest.mark.parametrize("function", ["fsync", "replace", "fdopen"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(
    saved: Path, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(snnconv.StorageError, match="cannot be written: No space left"):
        network_of("residual", STEPS).save(saved)
    monkeypatch.undo()
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


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


@dataclass(frozen=True)
class Own:
    """A neuron of a user: integrate-and-fire, with a name of its own."""

    code: Code
    unit_payload = True
    update_cost = UpdateCost(1, 3, 0)

    def initial(self, like: Tensor) -> Any:
        return IntegrateFire(self.code).initial(like)

    def step(self, current: Tensor, state: Any, t: int, inverse_scale: Tensor | float = 1.0) -> tuple[Tensor, Any]:
        return IntegrateFire(self.code).step(current, state, t, inverse_scale)


def test_a_neuron_must_be_registered_to_be_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = make("deep")
    network = snnconv.convert(model, x, coding=Rate(STEPS), neuron=Own)
    with pytest.raises(
        snnconv.StorageError,
        match=r"neuron Own is not registered, .*; register it with snnconv\.neurons\.register_neuron, or",
    ):
        network.save(tmp_path / "network.snn")
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(NEURONS, "own", Own)
    register_neuron("own", Own)
    network.save(tmp_path / "network.snn")
    assert torch.equal(snnconv.load(tmp_path / "network.snn")(x), network(x))
    monkeypatch.delitem(NEURONS, "own")
    with pytest.raises(snnconv.StorageError, match="'own' is not registered"):
        snnconv.load(tmp_path / "network.snn")
    monkeypatch.undo()
    assert "own" not in NEURONS
