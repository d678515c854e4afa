"""Stored pipelines: the same spikes after a round trip, and files with impossible codes are refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

import snnconv
from coding import TTFS, Burst, CodingPlan, Concurrent, FewSpike, OneSpike, Phase, Pipeline, Rate
from snnconv import SpikingNetwork
from snnconv.storage.signed import signature
from tests.support.networks import make, zoo

PLANS: dict[str, CodingPlan] = {
    "few-spike": CodingPlan(),
    "fixed base": CodingPlan(FewSpike(6, 1.5, 2, "floor")),
    "early firing": CodingPlan(TTFS(16, "fit", -1.5), input=TTFS(16, 4.0), schedule=Pipeline(5)),
    "overrides": CodingPlan(OneSpike(9), overrides={"*[1nu]": Rate(5)}),
    "spiking input": CodingPlan(Phase(6), input=Phase(8), schedule=Pipeline()),
    "burst without a largest gain": CodingPlan(Burst(64, 0.25, largest_gain=math.inf), schedule=Concurrent(48)),
    "phase and burst": CodingPlan(Burst(64, 0.25, largest_gain=8.0), input=Phase(8), schedule=Concurrent(48)),
}


@pytest.mark.parametrize("name", ["deep", "leaky relu", "max pooling"])
@pytest.mark.parametrize("kind", PLANS)
def test_a_loaded_network_fires_the_same_spikes(kind: str, name: str, tmp_path: Path) -> None:
    _, x = make(name)
    network = zoo(name, coding=PLANS[kind])
    for number, shift in enumerate(network._shifts.by_name().values()):
        shift.add_(0.01 * (number + 1))
    network.save(tmp_path / "network.snn")
    loaded = snnconv.load(tmp_path / "network.snn")
    assert loaded.plan == network.plan and loaded.timing == network.timing and loaded.report() == network.report()
    for mine, theirs in zip(network.populations.values(), loaded.populations.values(), strict=True):
        assert (mine.code, mine.neuron) == (theirs.code, theirs.neuron)
        assert torch.equal(mine.scale, theirs.scale) and torch.equal(mine.shift, theirs.shift)
    for simulator in ("clock", "auto"):
        one, other = (n.run(x, simulator=simulator, record=["rasters"]) for n in (network, loaded))
        assert all(torch.equal(one.rasters[key], other.rasters[key]) for key in one.rasters)
        assert torch.equal(one.output, other.output) and one.synops == other.synops


@pytest.fixture(scope="module")
def network() -> SpikingNetwork:
    model, x = make("deep")
    plan = CodingPlan(FewSpike(6, 1.5, 2), input=Phase(5), overrides={"layers.3": TTFS(9, 3.0)})
    return snnconv.convert(model, x, coding=plan)


Change = Callable[[dict[str, Any], dict[str, torch.Tensor]], None]


def tampered(network: SpikingNetwork, path: Path, change: Change) -> Path:
    """A file with a checksum that fits, as somebody with bad intentions would write it."""
    network.save(path)
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors, manifest = safetensors.torch.load_file(path), json.loads(metadata["manifest"])
    change(manifest, tensors)
    text = json.dumps(manifest)
    metadata |= {"manifest": text, "sha256": signature(text, tensors)}
    safetensors.torch.save_file(tensors, path, metadata)
    return path


def code_of(manifest: dict[str, Any], population: int = 0) -> dict[str, Any]:
    return manifest["populations"][population]["code"]["fields"]  # type: ignore[no-any-return]


def both(manifest: dict[str, Any], field: str, value: object) -> None:
    """A field of a population's code, and of its neuron's."""
    code_of(manifest)[field] = value
    manifest["populations"][0]["neuron"]["fields"]["code"]["code"]["fields"][field] = value


BURST = {"name": "burst", "fields": {"steps": 8}}
HOSTILE: dict[str, Change] = {
    "a neuron as code": lambda m, t: m["populations"][0].update(code=m["populations"][0]["neuron"]),
    "a schedule as code": lambda m, t: m["populations"][0].update(code=m["schedule"]),
    "no code": lambda m, t: m["populations"][0].update(code=None),
    "an unknown code": lambda m, t: m["populations"][0]["code"].update(name="os.system"),
    "a code with another field": lambda m, t: code_of(m).update(command="rm"),
    "a base that was never fitted": lambda m, t: both(m, "base", "fit"),
    "a base below 1": lambda m, t: both(m, "base", 0.5),
    "a base in words": lambda m, t: both(m, "base", "two"),
    "a base without end": lambda m, t: both(m, "base", 1e300),
    "more spikes than steps": lambda m, t: both(m, "spikes", 7),
    "no steps": lambda m, t: both(m, "steps", 0),
    "steps in part": lambda m, t: both(m, "steps", 2.5),
    "a rounding that there is not": lambda m, t: both(m, "rounding", "up"),
    "a code and a neuron that differ": lambda m, t: code_of(m).update(base=1.4),
    "a neuron of another code": lambda m, t: m["populations"][0].update(neuron=m["populations"][1]["neuron"]),
    "a neuron that cannot wait": lambda m, t: m["populations"][0]["neuron"].update(name="corrective"),
    "an input of another kind": lambda m, t: m["input"].update(name="few-spike"),
    "an input without a code": lambda m, t: m["input"]["fields"].update(spikes=None),
    "an input to be fitted": lambda m, t: m["input"]["fields"]["spikes"]["code"]["fields"].update(base="fit"),
    "an input that has no window": lambda m, t: m["input"]["fields"].update(spikes={"code": BURST}),
    "an unknown schedule": lambda m, t: m["schedule"].update(name="calendar"),
    "a schedule of another kind": lambda m, t: m.update(schedule=m["hidden"]),
    "no schedule": lambda m, t: m.pop("schedule"),
    "a schedule of streams": lambda m, t: m.update(schedule={"name": "concurrent", "fields": {"steps": 8}}),
    "a stride of zero": lambda m, t: m["schedule"]["fields"].update(stride=0),
    "a stride in words": lambda m, t: m["schedule"]["fields"].update(stride="long"),
    "overrides that are no pairs": lambda m, t: m.update(overrides=[["layers.1"]]),
    "an override that is no code": lambda m, t: m["overrides"][0].__setitem__(1, m["input"]),
    "hidden code as input": lambda m, t: m.update(hidden=m["input"]),
    "shifts that are NaN": lambda m, t: t["shift.relu"].fill_(float("nan")),
    "shifts that are infinite": lambda m, t: t["shift.relu"].fill_(float("-inf")),
    "shifts of the wrong size": lambda m, t: t.update({"shift.relu": torch.zeros(3).double()}),
    "shifts of many axes": lambda m, t: t.update({"shift.relu": torch.zeros(16, 1).double()}),
    "no shifts": lambda m, t: t.__delitem__("shift.relu"),
    "ranges that are missing": lambda m, t: t.__delitem__("range.0.1"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_cannot_be_is_refused(kind: str, network: SpikingNetwork, tmp_path: Path) -> None:
    path = tampered(network, tmp_path / "network.snn", HOSTILE[kind])
    with pytest.raises(snnconv.StorageError, match="holds no valid network"):
        snnconv.load(path)


def test_the_file_as_it_was_written_is_accepted(network: SpikingNetwork, tmp_path: Path) -> None:
    loaded = snnconv.load(tampered(network, tmp_path / "network.snn", lambda manifest, tensors: None))
    assert loaded.plan == network.plan
