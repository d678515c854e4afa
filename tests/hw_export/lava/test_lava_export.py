"""From a converted network to Lava's spikes: the same in every population and step as the integer network's clock."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from torch import nn
from torch.utils._pytree import tree_leaves
from typer.testing import CliRunner

import snnconv
from coding import Concurrent, Rate
from hw_export import lava
from hw_export.commands import add_commands
from hw_export.integers.quantization import quantize
from hw_export.lava.bundle import NETWORK, read_network
from hw_export.lava.child import LavaError
from hw_export.lava.decoding import Decoding
from hw_export.lava.launch import MAIN, launch
from neurons import IntegrateFire
from snnconv import ConfigurationError, InputError, Progress, StorageError
from tests.support.exported import converted, images, looked_up, model

sys.path.append(str(MAIN.parent))  # the runtime is a program of its own, its folder no package

from lava_runtime.digest import digest

COUNT = 3
app = typer.Typer()
add_commands(app)


def assert_alike(path: Path, **options: Any) -> snnconv.simulators.Run:
    """Run the bundle on Lava and compare everything with the clock simulator of the network in it."""
    x = images(COUNT, seed=5)
    simulation, _, _ = read_network(path)
    run, expected = (
        lava.run(path, x.float(), record=["rasters"], **options),
        simulation.run(x.float().double(), simulator="clock", record=["rasters"]),
    )
    assert run.spikes == expected.spikes and sum(run.spikes.values()) > 100
    # Rounding makes the clock's gates pass a few differences that integers do not have.
    assert run.synops == pytest.approx(expected.synops, rel=1e-3) and run.neurons == expected.neurons
    assert {name: raster.shape for name, raster in run.rasters.items()} == {
        name: raster.shape for name, raster in expected.rasters.items()
    }
    assert sum(int((run.rasters[name] != raster).sum()) for name, raster in expected.rasters.items()) == 0
    for one, two in zip(tree_leaves(run.output), tree_leaves(expected.output), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-9)
    return run


@pytest.mark.usefixtures("loaded_lava")
@pytest.mark.parametrize("code", ["rate", "burst", "few-spike", "table-spike"])
@pytest.mark.parametrize("name", ["residual", "leaky", "pooled"])
def test_lava_fires_spike_for_spike_as_the_clock_simulator(name: str, code: str, tmp_path: Path) -> None:
    lava.export(converted(name, code), tmp_path / "network.npz", input_bits=8)
    assert_alike(tmp_path / "network.npz")


@pytest.mark.usefixtures("loaded_lava")
@pytest.mark.parametrize("arithmetic", ["fixed", "float"])
def test_tables_fire_spike_for_spike_as_the_clock_simulator(arithmetic: str, tmp_path: Path) -> None:
    report = lava.export(looked_up("both"), tmp_path / "network.npz")
    assert_alike(tmp_path / "network.npz", arithmetic=arithmetic)
    _, silu, _, relu, *_ = report.placements
    assert "a table for each channel" in silu.reason and "window code" in relu.reason
    assert silu.memory == 8 * silu.neurons + silu.weights + 4 * (5 * 4 * 5)  # of 5 numbers, 4 channels, 5 cells
    assert report.fidelity["as integers"].error < report.fidelity["as converted"].error + 0.02


@pytest.mark.usefixtures("loaded_lava")
@pytest.mark.parametrize("code", ["rate", "few-spike"])
def test_floating_point_on_lava_gives_the_same_spikes(code: str, tmp_path: Path) -> None:
    lava.export(converted("residual", code), tmp_path / "network.npz", input_bits=8)
    assert_alike(tmp_path / "network.npz", arithmetic="float")


@pytest.mark.usefixtures("loaded_lava")
def test_neurons_of_lava_itself_take_over_where_they_compute_the_same(tmp_path: Path) -> None:
    network = converted("residual", "rate")
    report = lava.export(network, tmp_path / "network.npz", reset="zero", input_bits=4)
    populations = {p.name: p for p in report.placements}
    assert all(populations[p.name].built_in for p in network.populations.values())
    assert "LIFReset" in str(report)
    assert {"as converted", "reset to zero", "as integers"} == set(report.fidelity)
    assert report.fidelity["reset to zero"].error > report.fidelity["as converted"].error
    assert_alike(tmp_path / "network.npz")


@pytest.mark.usefixtures("loaded_lava")
@pytest.mark.parametrize(("code", "options"), [("few-spike", {}), ("rate", {"reset": "zero", "input_bits": 4})])
def test_bundles_of_the_version_before_run(code: str, options: Any, tmp_path: Path) -> None:
    lava.export(converted("residual", code), tmp_path / "new.npz", **options)
    with np.load(tmp_path / "new.npz") as file:
        arrays = {name: file[name] for name in file.files if name != "digest"}
    manifest = json.loads(str(arrays.pop("manifest")))
    (taken,) = manifest["inputs"]
    largest = max(-taken.pop("smallest"), taken.pop("largest"))
    text = json.dumps(manifest | {"version": 1, "largest_input": largest})
    signed = {name: array for name, array in arrays.items() if name != NETWORK}
    np.savez(tmp_path / "old.npz", manifest=np.array(text), digest=np.array(digest(text, signed)), **arrays)
    assert_alike(tmp_path / "old.npz")


def test_a_reset_to_zero_is_for_rate_code_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="reset='zero' is supported for integrate-and-fire"):
        lava.export(converted("residual", "few-spike"), tmp_path / "network.npz", reset="zero")
    assert not list(tmp_path.iterdir())


def test_the_report_says_what_runs_where_and_what_it_takes(tmp_path: Path) -> None:
    network = converted("residual", "few-spike")
    report = lava.export(network, tmp_path / "network.npz")
    (source, *placed) = report.placements
    hidden = placed[: len(network.populations)]
    assert [each.name for each in hidden] == [population.name for population in network.populations.values()]
    assert not any(placement.built_in for placement in hidden) and "needs microcode" in str(report)
    first = hidden[0]
    assert (first.neurons, first.weights, first.weight_bits) == (4 * 64, 2 * 4 * 9, 8)
    fan_in = nn.functional.conv2d(torch.ones(1, 2, 8, 8), torch.ones(4, 2, 3, 3), padding=1).sum()
    weights = quantize(network).connections[0].map.weights
    assert first.synapses <= int(fan_in) and (first.synapses == int(fan_in) or (weights == 0).any())
    assert (source.where, source.neurons, source.cores.most) == ("host", 2 * 64, 0) and "graded" in source.reason
    assert any("skips wait 1 steps" in note for note in report.notes)
    assert placed[-1].name == f"delays behind {first.name}" and placed[-1].where.startswith("simulation only")
    assert report.cores.fit == "fits" and json.dumps(report.to_dict())
    assert report.fidelity["as integers"].error < report.fidelity["as converted"].error + 0.05


def test_what_is_lost_is_measured_on_samples_of_ones_own(tmp_path: Path) -> None:
    network = converted("residual", "few-spike")
    network.save(tmp_path / "network.snn")
    loaded = snnconv.load(tmp_path / "network.snn")
    assert not lava.export(loaded, tmp_path / "network.npz").fidelity
    report = lava.export(loaded, tmp_path / "network.npz", samples=images(100, seed=8))
    assert {found.samples for found in report.fidelity.values()} == {100}


def test_a_network_that_cannot_be_exported_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    lava.export(converted("residual", "rate"), path)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="initial potential"):
        odd = converted("residual", "rate", neuron=lambda code: IntegrateFire(code, initial_potential=0.3))
        lava.export(odd, path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["network.npz"]
    with pytest.raises(StorageError, match="cannot be written"):
        lava.export(converted("residual", "rate"), tmp_path / "nowhere" / "network.npz")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "network.npz"
    lava.export(converted("residual", "rate"), path)
    return path


@pytest.mark.parametrize("kind", ["missing", "text", "truncated", "no network", "future"])
def test_a_file_that_is_no_bundle_is_refused(kind: str, bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    if kind == "text":
        path.write_text("no bundle")
    elif kind == "truncated":
        path.write_bytes(bundle.read_bytes()[:-200])
    elif kind != "missing":
        with np.load(bundle) as file:
            arrays = {name: file[name] for name in file.files}
        if kind == "future":
            manifest = json.loads(str(arrays["manifest"])) | {"version": 99}
            arrays["manifest"] = np.array(json.dumps(manifest))
        else:
            arrays["network"] = arrays["network"][:-9]
        np.savez(path, **arrays)
    with pytest.raises(StorageError, match="version 99" if kind == "future" else "cannot be read"):
        lava.run(path, images(1))


@pytest.mark.parametrize("x", [images(2)[:, :1], images(2)[0], torch.full((1, 2, 8, 8), torch.nan), images(0)])
def test_inputs_that_do_not_fit_are_refused(x: torch.Tensor, bundle: Path) -> None:
    with pytest.raises(InputError):
        lava.run(bundle, x)


@pytest.mark.usefixtures("loaded_lava")
def test_inputs_beyond_calibration_are_cut_off_and_said_to_be(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    lava.run(bundle, images(1) * 100)
    assert "leaves the range seen in calibration" in caplog.text


def test_the_command_line_exports_and_runs(tmp_path: Path) -> None:
    x = images(20, seed=5)
    network = snnconv.convert(model("residual"), images(40), coding=Rate(), schedule=Concurrent(16))
    network.save(tmp_path / "network.snn")
    np.savez(tmp_path / "samples.npz", inputs=x.numpy(), targets=network.reference(x).argmax(1).numpy())
    runner, files = CliRunner(), [str(tmp_path / name) for name in ("network.snn", "network.npz", "samples.npz")]
    told = runner.invoke(
        app, ["export", files[0], "-o", files[1], "--data", files[2], "--json", str(tmp_path / "e.json")]
    )
    assert told.exit_code == 0 and "as integers: output error" in told.output
    assert json.loads((tmp_path / "e.json").read_text())["cores"]["fit"] == "fits"
    options = [
        "--data",
        files[2],
        "--limit",
        "4",
        "--interpreter",
        sys.executable,
        "--json",
        str(tmp_path / "r.json"),
    ]
    told = runner.invoke(app, ["run-lava", files[1], *options])
    figures = json.loads((tmp_path / "r.json").read_text())
    assert told.exit_code == 0 and figures["samples"] == 4 and figures["steps"] == 16
    assert f"accuracy: {figures['accuracy']:.1f} %" in told.output
    expected = read_network(tmp_path / "network.npz")[0].run(x[:4], simulator="clock")
    assert figures["spikes_per_neuron"] == pytest.approx(expected.spikes_per_neuron)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "loihi"], "--target must be one of lava"),
        (["--target", "nir"], "written in Python, by hw_export.nir.export"),
        (["--reset", "soft"], "--reset must be zero"),
        (["--per", "layer"], "per must be one of"),
        (["--input-bits", "17"], "input_bits must lie between 2 and 16"),
    ],
)
def test_options_of_the_command_line_are_checked(options: list[str], message: str, tmp_path: Path) -> None:
    converted("residual", "rate").save(tmp_path / "network.snn")
    told = CliRunner().invoke(app, ["export", str(tmp_path / "network.snn"), "-o", str(tmp_path / "n.npz"), *options])
    assert told.exit_code != 0 and message in str(told.exception)


def test_a_bundle_that_was_altered_is_refused(bundle: Path, tmp_path: Path) -> None:
    with np.load(bundle) as file:
        arrays = {name: file[name] for name in file.files}
    weight = next(name for name, array in arrays.items() if array.dtype == np.int8)
    np.savez(tmp_path / "weights.npz", **{**arrays, weight: -arrays[weight]})
    manifest = json.loads(str(arrays["manifest"]))
    manifest["inputs"][0]["step"] *= 2
    np.savez(tmp_path / "manifest.npz", **{**arrays, "manifest": np.array(json.dumps(manifest))})
    inputs = {manifest["inputs"][0]["name"]: np.zeros((1, 2, 8, 8), np.int32)}
    for name in ("weights.npz", "manifest.npz"):
        with pytest.raises(StorageError, match="was altered"):
            lava.run(tmp_path / name, images(1))
        with pytest.raises(LavaError, match="was altered"):  # the runtime looks for itself
            launch(tmp_path / name, inputs)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("inputs", [{"name": "x", "step": 0.1, "smallest": 1, "largest": 9}]),
        ("steps", 1.5),
        ("inputs", []),
        ("outputs", [{"name": "x"}]),
        ("units", {}),
        ("populations", []),
    ],
)
def test_a_signed_bundle_that_does_not_describe_its_network_is_refused(bundle: Path, key: str, value: Any) -> None:
    network, manifest, arrays = read_network(bundle)
    with pytest.raises(StorageError, match=r"the manifest|positive|smallest integer"):
        Decoding.of(manifest | {key: value}, arrays, network)


@pytest.mark.parametrize("reset", ["subtract", "nonsense", ""])
def test_other_resets_are_refused(reset: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="reset must be"):
        lava.export(converted("residual", "rate"), tmp_path / "network.npz", reset=reset)


def test_a_reset_to_zero_is_refused_for_bursts(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="with burst code"):
        lava.export(converted("residual", "burst"), tmp_path / "network.npz", reset="zero")


@pytest.mark.usefixtures("loaded_lava")
def test_outputs_of_any_rank_come_back_in_their_shape(tmp_path: Path) -> None:
    layers = nn.Sequential(nn.Flatten(), nn.Linear(128, 6), nn.ReLU(), nn.Linear(6, 12), nn.Unflatten(1, (3, 4)))
    network = snnconv.convert(layers.double(), images(40), coding=Rate(), schedule=Concurrent(8))
    lava.export(network, tmp_path / "network.npz")
    run = lava.run(tmp_path / "network.npz", images(2))
    expected = read_network(tmp_path / "network.npz")[0].run(images(2))
    assert run.output.shape == (2, 3, 4)
    torch.testing.assert_close(run.output, expected.output, rtol=0, atol=1e-9)


@pytest.mark.usefixtures("loaded_lava")
def test_relays_are_shared_by_source_and_counted(tmp_path: Path) -> None:
    class Skips(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = torch.relu(self.layers[0](x))
            second = torch.relu(self.layers[1](first))
            third = torch.relu(self.layers[2](second) + first)
            return self.layers[3](third) + first  # type: ignore[no-any-return]

    torch.manual_seed(0)
    x = torch.randn(30, 6, dtype=torch.float64)
    network = snnconv.convert(Skips().double(), x, coding=Rate(), schedule=Concurrent(8))
    report = lava.export(network, tmp_path / "network.npz")
    (late,) = [placement for placement in report.placements if placement.name.startswith("delays behind")]
    assert (
        late.built_in and late.cores.most == 0 and "up to 2 steps" in late.reason
    )  # matrices have delays of their own
    run = lava.run(tmp_path / "network.npz", x[:3])
    assert run.spikes == read_network(tmp_path / "network.npz")[0].run(x[:3]).spikes


@pytest.mark.usefixtures("loaded_lava")
def test_samples_that_are_done_on_lava_are_told_and_a_callback_may_end_the_run(bundle: Path) -> None:
    """Of how many it is told depends on how fast they are; the first and the last are always there."""
    told: list[Progress] = []
    lava.run(bundle, images(3), progress=told.append)
    done = [each.done for each in told]
    assert {(each.what, each.total) for each in told} == {("running on Lava", 3)}
    assert done == sorted({*done}) and done[0] == 0 and done[-1] == 3

    def cancelling(found: Progress) -> None:
        if found.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lava.run(bundle, images(3), progress=cancelling)


@pytest.mark.parametrize(
    "options", [{"record": "relu"}, {"timeout": 0.0}, {"timeout": float("nan")}, {"arithmetic": "fixd"}], ids=str
)
def test_options_of_a_run_are_checked(options: Any, bundle: Path) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        lava.run(bundle, images(1), **options)
