"""The limits of a machine: what is called built-in obeys what Lava's neurons declare, and cores are bounds."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snnconv
from coding import Concurrent, Phase, Rate
from hw_export import lava
from hw_export.integers import quantize
from hw_export.integers.built_in import built_in_reaches, obstacle, with_hard_reset
from hw_export.integers.declared import DECLARED, LARGEST_LIF_THRESHOLD, LIF, declared_bits
from hw_export.lava.launch import MAIN
from hw_export.lava.limits import BYTES_A_CORE, Load, cores_of
from tests.support.exported import converted

sys.path.append(str(MAIN.parent))  # the runtime is a program of its own, its folder no package

from lava_runtime.rules import LARGEST_BIAS, LARGEST_THRESHOLD

LIF_BITS = DECLARED["lif"]["PyLifResetModelBitAcc"]


@pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed")
@pytest.mark.parametrize(
    ("process", "model"), [(process, model) for process, models in DECLARED.items() for model in models]
)
def test_the_limits_are_those_that_lava_declares(process: str, model: str) -> None:
    found, expected = declared_bits(process, model), DECLARED[process][model]
    assert {name: found.get(name) for name in expected} == expected


def test_the_runtime_holds_the_same_limits() -> None:
    assert (LIF.bias, LARGEST_LIF_THRESHOLD) == (LARGEST_BIAS, LARGEST_THRESHOLD)
    assert (LIF.membrane, LIF.current, LIF.bias) == (131_071, 32_767, 4_095)
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        declared_bits("nowhere", "Model")


def small(weight: float, bias: float, inputs: int = 8, low: float = 0.0) -> snnconv.SpikingNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(inputs, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    with torch.no_grad():
        model[0].weight *= weight  # type: ignore[operator]
        model[0].bias.copy_(bias * torch.linspace(-0.3, 2.0, 6))  # type: ignore[operator, union-attr]
    return snnconv.convert(model, low + torch.rand(60, inputs), coding=Rate(2), schedule=Concurrent(2))


NETWORKS: dict[str, Any] = {
    "plain": lambda: small(1, 0.1),
    "both signs": lambda: small(1, 0.1, low=-0.5),
    "large biases": lambda: small(0.06, 1),
    "many inputs": lambda: small(3, 0.1, 300),
    "residual": lambda: converted("residual", "rate"),
}


def needed(manifest: dict[str, Any], arrays: dict[str, np.ndarray], population: dict[str, Any]) -> dict[str, int]:
    """Bits that a population needs of Lava's variables, whatever its sources send, borders left out."""
    bits = {"vth": int((arrays[population["threshold"]].max() - 1).item()).bit_length()}
    bits["bias_mant"] = 1 + int(np.abs(arrays[population["bias"]]).max()).bit_length()
    current = np.zeros((2, population["shape"][0]))
    ends = {each["name"]: (each["smallest"], each["largest"]) for each in manifest["inputs"]}
    for each in manifest["connections"]:
        if each["target"] == population["name"]:
            low, high = ends.get(each["source"], (0, 1))
            weight = arrays[each["weight"] if "weight" in each else each["data"]].astype(int)
            rows = weight.reshape(population["shape"][0], -1) if "weight" in each else weight[None]
            current[0] += np.maximum(rows * low, rows * high).sum(1)
            current[1] += np.minimum(rows * low, rows * high).sum(1)
    return bits | {"a_in": 1 + int(np.abs(current).max()).bit_length()}


@pytest.mark.parametrize("per", [None, "channel"])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_called_built_in_obeys_declared_limits(name: str, per: Any, tmp_path: Path) -> None:
    report = lava.export(NETWORKS[name](), tmp_path / "n.npz", per=per, reset="zero", input_bits=4, allow_loss=100.0)
    with np.load(tmp_path / "n.npz") as file:
        manifest, arrays = json.loads(str(file["manifest"])), dict(file)
    placed = {placement.name: placement for placement in report.placements}
    for population in manifest["populations"]:
        wanted = needed(manifest, arrays, population)
        alike = len(np.unique(arrays[population["threshold"]])) == 1
        if population["built_in"]:
            assert alike and all(count <= LIF_BITS[variable] for variable, count in wanted.items()), (wanted, alike)
        elif name != "residual":  # whose reach of a membrane may be what is too far
            assert not alike or any(count > LIF_BITS[variable] for variable, count in wanted.items())
    assert name not in ("plain", "both signs") or per or all(each["built_in"] for each in manifest["populations"])
    assert len(placed) == len(report.placements)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_limits_are_kept_by_weights_of_four_bits_or_not_at_all(bits: int) -> None:
    integers = quantize(with_hard_reset(small(1, 0.1)), per="population", input_bits=bits, limits=LIF)
    first = next(iter(integers.populations))
    (connection,) = integers.into(first)
    largest = int(np.abs(connection.map.weights.astype(int)).max())
    kept = obstacle(integers.populations[first], built_in_reaches(integers)[first]) is None
    assert kept == (bits == 8) and largest >= (8 if kept else 32)


def chain(layers: int, width: int) -> nn.Module:
    torch.manual_seed(0)
    hidden = [each for _ in range(layers) for each in (nn.Linear(width, width), nn.ReLU())]
    for layer in hidden[::2]:
        layer.weight.data = torch.eye(width) + 0.1 * torch.randn(width, width)  # type: ignore[union-attr]
    return nn.Sequential(*hidden, nn.Linear(width, 2)).eval()


@pytest.mark.parametrize(
    ("layers", "width", "options"),
    [
        (40, 4, {"coding": Phase(3)}),
        (40, 2, {"coding": Rate(4), "schedule": Concurrent(4)}),
        (1, 500, {"coding": Rate(4), "schedule": Concurrent(4)}),
    ],
)
def test_small_populations_share_cores(layers: int, width: int, options: Any, tmp_path: Path) -> None:
    network = snnconv.convert(chain(layers, width), torch.rand(20, width), **options)
    report = lava.export(network, tmp_path / "n.npz", input_bits=6, allow_loss=100.0)
    memory = sum(placement.memory for placement in report.placements)
    assert memory / BYTES_A_CORE <= report.cores.fewest == -(-memory // (128 * 1024)) <= report.cores.most
    assert report.cores.most >= layers


@pytest.mark.parametrize(
    ("loads", "fewest", "most", "fit"),
    [
        ([Load(100, 1000, 1000, 10)], 1, 2, "fits"),
        ([Load(100, 1000, 1000, 10)] * 130, 2, 260, "may fit"),
        ([Load(8193, 10, 10, 10)], 2, 3, "fits"),
        ([Load(10, 10, 50 * 128 * 1024, 10)], 1, 201, "may fit"),
        ([Load(10, 10, 10, 4097)], 1, 4, "fits"),
        ([Load(129 * 8192, 10, 10, 10)], 129, 130, "does not fit"),
        ([Load(10, 130 * 128 * 1024, 130 * 128 * 1024, 10)], 130, 521, "does not fit"),
        ([Load(10, 1000, 10, 10, table=2 * 48 * 1024)], 3, 4, "fits"),
        ([Load(10, 130 * 128 * 1024, 130 * 128 * 1024, 10, bits=4)], 65, 521, "may fit"),
        ([], 0, 0, "fits"),
    ],
)
def test_cores_are_bounds(loads: list[Load], fewest: int, most: int, fit: str) -> None:
    cores = cores_of(loads)
    assert (cores.fewest, cores.most, cores.fit) == (fewest, most, fit)
