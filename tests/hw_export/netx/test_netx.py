"""Files for netx: their layout, their spikes, which are those of the integers, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import typer
from torch import Tensor, nn
from typer.testing import CliRunner

import snnconv
from coding import Burst, Concurrent, FewSpike, Pipeline, Rate
from hw_export import netx
from hw_export.commands import add_commands
from hw_export.integers.declared import DECLARED, LARGEST_LIF_THRESHOLD, LIF
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.quantization import quantize
from hw_export.integers.reference import IntegerRun, run_reference
from hw_export.integers.simulation import integer_simulation
from hw_export.lava.launch import MAIN
from hw_export.netx.report import NetxReport
from snnconv import ConfigurationError
from tests.hw_export.netx import on_lava
from tests.hw_export.netx.interpreter import run
from tests.hw_export.netx.netx_networks import HARD, MODELS, convolutional, hard, perceptron, samples

BITS = 5
LIF_BITS = DECLARED["lif"]["PyLifResetModelBitAcc"]
app = typer.Typer()
add_commands(app)


def exported(name: str, path: Path) -> tuple[IntegerNetwork, NetxReport]:
    report = netx.export(hard(name), path, input_bits=BITS, allow_loss=100.0)
    return quantize(hard(name), per="population", input_bits=BITS, limits=LIF), report


def referred(integers: IntegerNetwork, name: str, count: int) -> tuple[np.ndarray, IntegerRun]:
    """Integers of inputs, and the reference run of them."""
    ((node, taken),) = integers.inputs.items()
    values = taken.taken(samples(name)[:count].numpy())
    return values, run_reference(integers, {node: values}, [*integers.populations])


def sums_of(membranes: np.ndarray, report: NetxReport) -> np.ndarray:
    """The sums of samples, as the report says that they are read from ``membranes [N, T, ...]``."""
    return membranes[:, -1] if report.output_read.startswith("at the last") else membranes.sum(1)


# What the files do


@pytest.mark.parametrize("name", MODELS)
def test_a_file_fires_every_spike_of_the_integers(name: str, tmp_path: Path) -> None:
    integers, report = exported(name, tmp_path / "network.net")
    values, expected = referred(integers, name, 3)
    found = run(tmp_path / "network.net", values)
    (output,) = integers.outputs
    assert len(found.spikes) == len(report.layers) == len(integers.populations) + 1
    for node, spikes in zip(integers.populations, found.spikes, strict=False):
        raster = expected.rasters[node]
        assert raster.any() and np.array_equal(spikes.reshape(raster.shape), raster)
    assert not found.spikes[-1].any()
    assert np.array_equal(sums_of(found.membranes, report).reshape(expected.sums[output].shape), expected.sums[output])


@pytest.mark.parametrize("name", ["convolutional", "sums beyond a membrane"])
def test_the_numbers_beside_the_layers_translate_inputs_and_outputs(name: str, tmp_path: Path) -> None:
    """Values in, values out, by the file alone: what the integer simulation under the clock yields."""
    integers, _ = exported(name, tmp_path / "network.net")
    x = samples(name)[:3]
    with h5py.File(tmp_path / "network.net") as file:
        own = {key: value[()] for key, value in file["snnconv_netx"].items()}
    units = np.rint(x.numpy() / own["input_step"]).clip(own["input_smallest"], own["input_largest"]).astype(np.int64)
    membranes = run(tmp_path / "network.net", units).membranes
    sums = membranes.sum(1) if own["output_read"] == b"at every step, and added up" else membranes[:, -1]
    output = own["output_step"] * sums / own["steps"] + own["output_offset"]
    simulated: Any = integer_simulation(integers)(x)
    assert torch.allclose(torch.from_numpy(output), simulated, rtol=1e-9, atol=1e-12)


def test_how_outputs_are_read_depends_on_what_fits_a_membrane(tmp_path: Path) -> None:
    for name, decay in (("convolutional", 0), ("sums beyond a membrane", 4096)):
        _, report = exported(name, tmp_path / "network.net")
        with h5py.File(tmp_path / "network.net") as file:
            last = file["layer"][str(len(file["layer"]) - 1)]
            assert last["neuron/vDecay"][()] == decay and "bias" not in last
            assert last["neuron/vThMant"][()] == LARGEST_LIF_THRESHOLD - 1 == 131071
        assert report.output_read == ("at every step, and added up" if decay else "at the last step of a sample")
        assert any("a chip may not do it" in note for note in report.notes) == (decay >= 2 ** LIF_BITS["dv"])


@pytest.mark.skipif(
    importlib.util.find_spec("lava") is None or importlib.util.find_spec("lava.lib") is None,
    reason="lava-dl is not installed: its own netx does not run the files",
)
@pytest.mark.parametrize("name", MODELS)
def test_lava_dl_fires_every_spike_of_the_integers(name: str, tmp_path: Path) -> None:
    integers, report = exported(name, tmp_path / "network.net")
    values, expected = referred(integers, name, 2)
    first = (-1,) if len(report.input_shape) == 1 else report.input_shape
    np.save(tmp_path / "inputs.npy", values.reshape(len(values), *first))
    files = [str(tmp_path / file) for file in ("network.net", "inputs.npy", "result.npz")]
    command = [sys.executable, on_lava.__file__, str(MAIN.parent), *files]
    subprocess.run(command, check=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"})
    found = np.load(tmp_path / "result.npz")
    for number, node in enumerate(integers.populations):
        raster = expected.rasters[node]
        assert np.array_equal(found[f"layer{number}"].reshape(raster.shape), raster)
    (sums,) = expected.sums.values()
    assert np.array_equal(sums_of(found["membranes"], report).reshape(sums.shape), sums)


# What the files hold


def test_the_layout_is_that_of_netx(tmp_path: Path) -> None:
    """Names, shapes and types of a convolution, a flatten and a matrix; all weights and thresholds, read back."""
    integers, report = exported("convolutional", tmp_path / "network.net")
    weights = [each.map.weights for each in integers.connections]
    with h5py.File(tmp_path / "network.net") as file:
        assert set(file) == {"layer", "snnconv_netx"} and set(file["layer"]) == set("012345")
        layers = [file["layer"][number] for number in "012345"]
        assert [each["type"][0] for each in layers] == [b"input", b"conv", b"conv", b"flatten", b"dense", b"dense"]
        assert [tuple(each["shape"][()].tolist()) for each in layers] == [
            (2, 8, 8),
            (4, 4, 10),
            (6, 2, 8),
            (96,),
            (8,),
            (3,),
        ]
        layers = [each for each in layers if "neuron" in each]
        for each, weight, described in zip(layers, weights, report.layers, strict=True):
            assert each["weight"].dtype == np.int8 and np.array_equal(each["weight"], weight)
            assert described.largest_weight == np.abs(weight.astype(int)).max() and described.weights == weight.size
        for each, population in zip(layers, integers.populations.values(), strict=False):
            (threshold,) = set(population.threshold.flat)
            assert each["neuron/vThMant"][()] == threshold - 1
            assert each["bias"].dtype == np.int32 and np.array_equal(each["bias"], population.bias.reshape(-1))
        second = {name: np.array(layers[1][name]).tolist() for name in ("stride", "padding", "dilation", "groups")}
        assert second == {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 2], "groups": 2}
        first = {name: np.array(layers[0][name]).tolist() for name in ("stride", "padding", "dilation", "groups")}
        assert first == {"stride": [2, 1], "padding": [1, 2], "dilation": [1, 1], "groups": 1}
        for each in layers:
            neuron = {name: value[()] for name, value in each["neuron"].items()}
            assert neuron.pop("type")[0] == b"CUBA" and neuron.pop("vThMant") >= 0
            assert neuron == {"iDecay": 4096, "vDecay": 0, "refDelay": 1, "gradedSpike": False}


def test_a_report_says_how_to_load_the_file(tmp_path: Path) -> None:
    _, report = exported("convolutional", tmp_path / "network.net")
    assert "input_message_bits=24, reset_interval=12, reset_offset=1" in str(report)
    assert "integers 8x8x2 at each of 12 steps" in str(report)
    found = json.loads(json.dumps(report.to_dict()))
    assert found["layers"][-1]["threshold"] is None and found["steps"] == 12
    assert list(found["fidelity"]) == ["as converted", "as integers"]


def test_neurons_are_exchanged_only_if_asked_for(tmp_path: Path) -> None:
    x = samples("convolutional")
    network = snnconv.convert(convolutional().double(), x, coding=Rate(8), schedule=Concurrent(8))
    with pytest.raises(ConfigurationError, match=r"these start from 0.5 thresholds and have reset='subtract'; reset="):
        netx.export(network, tmp_path / "network.net")
    assert not list(tmp_path.iterdir())
    report = netx.export(network, tmp_path / "network.net", reset="zero", allow_loss=100.0)
    assert list(report.fidelity) == ["as converted", "reset to zero", "as integers"]


# What is refused


class JoinedWays(nn.Module):
    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], width: int) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(width, 3)
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        first = torch.relu(self.first(x))
        return self.last(self.join(first, torch.relu(self.second(first))))  # type: ignore[no-any-return]


class SummedInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 5), nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(x) + self.second(y)))  # type: ignore[no-any-return]


class ForkedOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.one, self.other = nn.Linear(6, 5), nn.Linear(5, 3), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = torch.relu(self.first(x))
        return self.one(first), self.other(first)


def silenced() -> nn.Module:
    last = nn.Linear(5, 3)
    nn.init.zeros_(last.weight)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), last)


def crowded() -> nn.Module:
    """As many equal weights into an output as do not fit a step."""
    last = nn.Linear(900, 3)
    nn.init.ones_(last.weight)
    return nn.Sequential(nn.Linear(6, 900), nn.ReLU(), last)


def pooled() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3))


RATE = {"coding": Rate(8), "schedule": Concurrent(8), "neuron": HARD}
#: A model, the shapes of its inputs, options of its conversion and of its export, and the reason.
REFUSED: dict[str, tuple[Any, ...]] = {
    "max pooling": (pooled, ((2, 6, 6),), RATE, {}, "max_pool2d.*: netx has no max pooling; take a convolution with"),
    "a sum": (lambda: JoinedWays(torch.add, 5), ((6,),), RATE, {}, "ways part or meet: skips"),
    "a concatenation": (
        lambda: JoinedWays(lambda *parts: torch.cat(parts, 1), 10), ((6,),), RATE, {}, "ways part or meet: skips"
    ),
    "two inputs": (SummedInputs, ((6,), (6,)), RATE, {}, "netx takes one input, this network has 2"),
    "two outputs": (ForkedOutputs, ((6,),), RATE, {}, "netx has one output.*this network has 2"),
    "bursts": (
        lambda: perceptron(6), ((6,),), {"coding": Burst(8), "schedule": Concurrent(8)}, {"reset": "zero"},
        "neurons with rate code under Concurrent.*not for IntegrateFire with burst code",
    ),
    "windows": (
        lambda: perceptron(6), ((6,),), {"coding": FewSpike(4), "schedule": Pipeline()}, {}, "with few-spike code"
    ),
    "no such reset": (lambda: perceptron(6), ((6,),), RATE, {"reset": "soft"}, "reset must be 'zero' or None"),
    "inputs of too many bits": (
        lambda: perceptron(40), ((40,),), RATE, {"input_bits": 16},
        "cannot run on the neurons of netx: a threshold of .*, beyond 131072",
    ),
    "an output of too many sources": (
        crowded, ((6,),), RATE, {"input_bits": 4},
        "linear_1.*: up to .* may arrive in one step, beyond the .-32767 that neurons of netx take; put a small",
    ),
    "weights that are zero": (silenced, ((6,),), RATE, {"allow_loss": 100.0}, "all weights from .* to .* are zero"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_netx_cannot_say_is_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    make, shapes, conversion, options, reason = REFUSED[case]
    torch.manual_seed(0)
    inputs = [torch.rand(20, *shape, dtype=torch.float64) for shape in shapes]
    calibration: Any = inputs[0] if len(inputs) == 1 else [(tuple(inputs), None)]
    network = snnconv.convert(make().double(), calibration, **conversion)
    with pytest.raises(ConfigurationError, match=reason):
        netx.export(network, tmp_path / "network.net", **options)
    assert not list(tmp_path.iterdir())


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ConfigurationError, match=r"h5py cannot be imported.*pip install 'snnconv\[nir\]'"):
        netx.export(hard("lines"), tmp_path / "network.net")


def test_the_command_line_exports_to_netx(tmp_path: Path) -> None:
    hard("lines").save(tmp_path / "network.snn")
    path = str(tmp_path / "network.net")
    arguments = ["export", str(tmp_path / "network.snn"), "--target", "netx", "-o", path]
    found = CliRunner().invoke(app, [*arguments, "--input-bits", str(BITS)])
    assert found.exit_code == 0 and "netx.hdf5.Network(net_config=..." in found.output, found.output
    with h5py.File(path) as file:
        assert len(file["layer"]) == 4
    refused = CliRunner().invoke(app, [*arguments, "--per", "channel"])
    assert "--per is for --target lava and c" in str(refused.exception)
