"""Storage: the same spikes after a round trip, in a file that says nothing else."""

from __future__ import annotations

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
    with pytest.raises(snnconv.StorageError, match="'own' is not registered; import the module that registers it"):
        snnconv.load(tmp_path / "network.snn")
    monkeypatch.undo()
    assert "own" not in NEURONS
