"""Networks in files that were written once and stay readable: what docs/snn-format.md promises of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import snnconv
from coding.registry import CODES, INPUT_CODES
from coding.schedule import SCHEDULES
from neurons import NEURONS
from snnconv.graph.operators import ACTIVATION_FUNCTIONS
from snnconv.storage.manifest import manifest_of, tensors_of
from snnconv.storage.manifest_versions import VERSION
from snnconv.storage.signed import read_signed
from tests.support.kept_networks import FOLDER, NETWORKS, computed
from tests.support.rounding import rounds_as_when_written

OWN = ("coding", "neurons", "snnconv")
KEPT = sorted(FOLDER.glob("*.snn"))


def of_the_project(registry: Mapping[str, type]) -> set[str]:
    """The names in ``registry`` but those that tests have registered."""
    return {name for name, kind in registry.items() if kind.__module__.partition(".")[0] in OWN}


def manifest(path: Path) -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads(read_signed(path, lambda metadata: int(metadata["version"]))[1])
    return found


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_kept_network_fires_the_spikes_that_it_fired_and_means_the_same(path: Path) -> None:
    network = snnconv.load(path)
    found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    inputs = [torch.tensor(each["values"], dtype=getattr(torch, each["type"])) for each in found["inputs"]]
    now = computed(network, inputs)
    counts = ("spikes", "synops")
    same = all(now[count] == found[count] for count in counts)
    assert same or not rounds_as_when_written()
    for count in counts:  # the order of sums is the processor's: elsewhere a current at a threshold may round across it
        assert now[count] == pytest.approx(found[count], rel=0.01, abs=2)
    rounding = 1e-12 if network.like.dtype == torch.float64 else 1e-5
    assert len(now["outputs"]) == len(found["outputs"]) > 0
    for output, wanted in zip(now["outputs"], found["outputs"], strict=True):
        accuracy = rounding if same else 0.05 * float(torch.tensor(wanted).abs().max())
        assert_close(in_double(output), in_double(wanted), rtol=accuracy, atol=accuracy)


def in_double(values: list[Any]) -> Tensor:
    """Numbers of a file with all of their digits."""
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(
    "path", [path for path in KEPT if path.name.startswith(f"{VERSION}_")], ids=lambda path: path.stem
)
def test_a_kept_network_of_this_version_is_saved_as_it_was_to_the_last_bit(path: Path) -> None:
    network = snnconv.load(path)
    _, text, tensors = read_signed(path, lambda metadata: int(metadata["version"]))
    assert json.loads(json.dumps(manifest_of(network))) == json.loads(text)
    now = tensors_of(network)
    assert now.keys() == tensors.keys()
    assert all(torch.equal(now[name], tensor) and now[name].dtype == tensor.dtype for name, tensor in tensors.items())


def test_every_kind_of_network_is_kept_in_this_version() -> None:
    assert {path.stem for path in KEPT} >= {f"{VERSION}_{name}" for name in NETWORKS}


def test_every_code_input_and_schedule_is_in_a_kept_network() -> None:
    found: dict[str, set[str]] = {"code": set(), "input": set(), "schedule": set()}
    for entry in map(manifest, KEPT):
        found["code"] |= {population["code"]["name"] for population in entry["populations"]}
        found["input"].add(entry["input"]["name"])
        found["schedule"].add(entry["schedule"]["name"])
    known: dict[str, Mapping[str, type]] = {"code": CODES, "input": INPUT_CODES, "schedule": SCHEDULES}
    assert found == {kind: of_the_project(registry) for kind, registry in known.items()}


@pytest.mark.parametrize("registry", [CODES, INPUT_CODES, SCHEDULES, NEURONS, ACTIVATION_FUNCTIONS])
def test_the_page_of_the_format_names_every_member_of_a_registry(registry: Mapping[str, type]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "snn-format.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "registry.py`)" in line]
    rows += [line for line in page.splitlines() if "schedule.py`)" in line or "activation_function.py`)" in line]
    named = [set(re.findall(r"`([a-z-]+)`", row.split("|")[2])) for row in rows]
    assert of_the_project(registry) in named
