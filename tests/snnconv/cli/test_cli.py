"""The command line: what it prints and writes, and one clear line where something is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from typer.testing import CliRunner

import snnconv
from coding import TTFS, Burst, CodingPlan, FewSpike, OneSpike, Phase, Pipeline, Rate
from snnconv.cli.app import app, main
from tests.support.conversion import converted
from tests.support.networks import GraphConvolution, Perceptron, draw, prepared

MODULE = """
from tests.support.conversion import converted
from tests.support.networks import Perceptron

def build():
    return Perceptron()

def number():
    return 3

def sized(width):
    return Perceptron()
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model in three forms, its weights, and samples."""
    folder = tmp_path_factory.mktemp("files")
    model = prepared(Perceptron, torch.float32)
    x = draw(40, 6, dtype=torch.float32)
    (folder / "own_model.py").write_text(MODULE)
    safetensors.torch.save_file(model.state_dict(), folder / "weights.safetensors")
    torch.save(model.state_dict(), folder / "weights.pt")
    batch = torch.export.Dim("batch")
    torch.export.save(torch.export.export(model, (x,), dynamic_shapes=({0: batch},)), folder / "model.pt2")
    with torch.no_grad():
        np.savez(folder / "samples.npz", inputs=x.numpy(), targets=model(x).argmax(1).numpy())
    np.save(folder / "samples.npy", x.numpy())
    return folder


@pytest.fixture
def folder(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with files of its own."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delitem(sys.modules, "own_model", raising=False)
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def failure(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["snnconv", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    written = capsys.readouterr().err
    assert "Traceback" not in written
    return written


RATE = ("--coding", "rate", "--steps", "32")
MODELS = {
    "exported program": ("model.pt2",),
    "function with safetensors": ("own_model:build", "--weights", "weights.safetensors"),
    "function with torch weights": ("own_model:build", "--weights", "weights.pt"),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_is_inspected_converted_and_evaluated(kind: str, folder: Path) -> None:
    model = MODELS[kind]
    assert "convertible" in run("preflight", *model, "--shape", "6", "--json", "preflight.json")
    report = json.loads((folder / "preflight.json").read_text())
    assert report["ok"] is True and [line["op"] for line in report["operations"]] == ["linear", "relu", "linear"]

    printed = run("convert", *model, "--calibration", "samples.npz", "-o", "n.snn", *RATE, "--percentile=100")
    assert "1 populations, 12 neurons" in printed and "written: n.snn" in printed
    assert snnconv.load("n.snn").plan.hidden.steps == 32

    reference = ("--reference", model[0], *model[1:])
    printed = run("evaluate", "n.snn", "--data", "samples.npz", *reference, "--batch", "7", "--json", "result.json")
    result = json.loads((folder / "result.json").read_text())
    assert result["reference_accuracy"] == 100.0 and result["samples"] == 40 and result["steps"] == 32
    assert result["accuracy"] == result["accuracy_by_step"][-1] > 80.0
    assert "energy E2" in printed


def test_a_sweep_writes_a_table_a_file_and_a_picture_and_goes_on(folder: Path) -> None:
    arguments = ("sweep", *MODELS["function with safetensors"], "--calibration", "samples.npz", "--data", "samples.npz")
    printed = run(*arguments, "--codes", "rate,phase", "--steps", "2,4", "-o", "out/swept")
    lines = [line.split() for line in printed.splitlines()]
    assert [line[:2] for line in lines[1:5]] == [["rate", "2"], ["rate", "4"], ["phase", "2"], ["phase", "4"]]
    assert "original network: 100.00 %" in printed and "written: out/swept/sweep.json" in printed
    assert (folder / "out/swept/pareto.png").read_bytes().startswith(b"\x89PNG")
    first = snnconv.Sweep.load("out/swept/sweep.json")
    assert [result.label for result in first.results] == ["rate 2", "rate 4", "phase 2", "phase 4"]

    run(*arguments, "--codes", "rate", "--steps", "4,6", "-o", "out/swept")
    again = snnconv.Sweep.load("out/swept/sweep.json")
    assert again.results[:-1] == first.results and again.results[-1].label == "rate 6"


def test_a_sweep_takes_samples_in_batches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    module = sys.modules["snnconv.sweeps.running"]
    evaluate = module.evaluate

    def watched(network: Any, data: Any, **options: Any) -> Any:
        sizes.extend(len(inputs) for inputs, _ in data)
        return evaluate(network, data, **options)

    monkeypatch.setattr(module, "evaluate", watched)
    arguments = ("sweep", "model.pt2", "--calibration", "samples.npz", "--data", "samples.npz", "--steps", "3")
    run(*arguments, "--codes", "rate", "-o", "swept", "--batch", "15")
    run(*arguments, "--codes", "rate", "-o", "swept", "--batch", "40")  # the same data: nothing is measured again
    assert sizes == [15, 15, 10]
    assert snnconv.Sweep.load("swept/sweep.json").results[0].samples == 40


def test_a_whole_graph_is_one_batch(folder: Path) -> None:
    model, nodes = prepared(GraphConvolution, torch.float32), draw(6, 5, dtype=torch.float32)
    torch.export.save(torch.export.export(model, (nodes,)), folder / "graph.pt2")
    np.savez(folder / "graph.npz", inputs=nodes.numpy(), targets=model(nodes).argmax(1).numpy())
    swept = ("sweep", "graph.pt2", "--calibration", "graph.npz", "--data", "graph.npz", "-o", "swept")
    assert "; 1 samples" in run(*swept, "--codes", "rate", "--steps", "64", "--batch", "2")
    run("convert", "graph.pt2", "--calibration", "graph.npz", "-o", "graph.snn")
    assert "; 1 samples" in run("evaluate", "graph.snn", "--data", "graph.npz", "--batch", "2")


def test_a_sweep_without_a_single_result_ends_with_one(folder: Path) -> None:
    arguments = ("sweep", "model.pt2", "--calibration", "samples.npy", "--data", "samples.npz", "-o", "out")
    result = CliRunner().invoke(app, [*arguments, "--codes", "phase", "--steps", "4", "--neuron", "corrective"])
    assert result.exit_code == 1
    assert "failed: phase 4: " in result.output
    assert not (folder / "out/pareto.png").exists()


def test_options_reach_the_library(folder: Path) -> None:
    run(
        *("convert", "model.pt2", "--calibration", "samples.npy", "-o", "n.snn", "--neuron", "corrective"),
        *("--input", "poisson", "--normalization", "layer", "--percentile", "mse", "--coding", "rate", "--steps", "5"),
    )
    network = snnconv.load("n.snn")
    (population,) = network.populations.values()
    assert type(population.neuron).__name__ == "CorrectiveIntegrateFire"
    assert network.plan.input.name == "poisson" and population.scale.numel() == 1
    run("evaluate", "n.snn", "--data", "samples.npy", "--steps", "3", "--json", "result.json")
    assert json.loads((folder / "result.json").read_text())["steps"] == 3


def test_few_spike_code_is_the_default_and_is_fitted(folder: Path) -> None:
    printed = run("convert", "model.pt2", "--calibration", "samples.npz", "-o", "n.snn")
    network = snnconv.load("n.snn")
    assert network.plan.hidden == FewSpike() and network.plan.schedule == Pipeline()
    (population,) = network.populations.values()
    assert 1.0 < population.code.base < 4.0  # type: ignore[attr-defined]
    assert "few-spike(8, " in printed and "latency 8 steps" in printed


CODES: dict[str, tuple[tuple[str, ...], CodingPlan]] = {
    "few-spike": (("--steps", "6", "--base", "1.5", "--spikes", "2"), CodingPlan(FewSpike(6, 1.5, 2))),
    "few-spike, fitted": (("--coding", "few-spike", "--base", "fit"), CodingPlan(FewSpike())),
    "one-spike": (("--coding", "one-spike", "--steps", "12", "--base", "1.3"), CodingPlan(OneSpike(12, 1.3))),
    "ttfs": (
        ("--coding", "ttfs", "--steps", "20", "--stride", "10", "--input", "phase"),
        CodingPlan(TTFS(20), input=Phase(), schedule=Pipeline(10)),
    ),
    "burst": (("--coding", "burst", "--input", "burst"), CodingPlan(Burst(), input=Burst())),
    "rate in windows": (("--coding", "rate", "--stride", "64"), CodingPlan(Rate(), schedule=Pipeline(64))),
}


@pytest.mark.parametrize("kind", CODES)
def test_codes_take_their_parameters(kind: str, folder: Path) -> None:
    options, plan = CODES[kind]
    run("convert", "model.pt2", "--calibration", "samples.npz", "-o", "n.snn", *options)
    assert snnconv.load("n.snn").plan == plan
    run("evaluate", "n.snn", "--data", "samples.npz", "--json", "result.json")
    assert json.loads((folder / "result.json").read_text())["accuracy"] > 50.0


def test_both_simulators_measure_the_same(folder: Path) -> None:
    run("convert", "model.pt2", "--calibration", "samples.npz", "-o", "n.snn", "--base", "1.5")
    figures = []
    for simulator in ("clock", "window", "auto"):
        run("evaluate", "n.snn", "--data", "samples.npz", "--simulator", simulator, "--json", "result.json")
        figures.append(json.loads((folder / "result.json").read_text()))
    assert figures[0]["spikes"] == figures[1]["spikes"] and figures[1] == figures[2]
    assert figures[0]["accuracy_by_step"] is None and figures[0]["steps"] == 8


def test_what_cannot_be_converted_is_listed_and_ends_with_one(folder: Path) -> None:
    (folder / "smooth_model.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Linear(6, 6), nn.GELU(), nn.ReLU())\n"
    )
    result = CliRunner().invoke(app, ["preflight", "smooth_model:build", "--shape", "6", "--json", "p.json"])
    assert result.exit_code == 1 and "gelu" in result.output
    assert json.loads((folder / "p.json").read_text())["problems"][0]["op"] == "gelu"


CONVERT = ("--calibration", "samples.npz", "-o", "n.snn")
SWEEP = ("sweep", "model.pt2", "--calibration", "samples.npz", "--data", "samples.npz", "-o", "swept")
ERRORS: dict[str, tuple[tuple[str, ...], str]] = {
    "no model file": (("preflight", "missing.pt2", "--shape", "6"), "there is no such file"),
    "no exported program": (("preflight", "broken.pt2", "--shape", "6"), "broken.pt2 cannot be read"),
    "no form of a model": (("preflight", "model", "--shape", "6"), "neither a .pt2 file nor"),
    "no module": (("preflight", "nowhere_at_all:build", "--shape", "6"), "cannot be imported"),
    "no function": (("preflight", "own_model:missing", "--shape", "6"), "no function 'missing'"),
    "no model from a function": (("preflight", "own_model:number", "--shape", "6"), "returned a int"),
    "a function with arguments": (
        ("preflight", "own_model:sized", "--shape", "6"),
        "own_model:sized must be callable without arguments: missing a required argument: 'width'",
    ),
    "shape in words": (("preflight", "model.pt2", "--shape", "six"), "--shape must be positive numbers"),
    "shape of zero": (("preflight", "model.pt2", "--shape", "3,0"), "--shape must be positive numbers"),
    "unknown code": (("convert", "model.pt2", *CONVERT, "--coding", "morse"), "unknown code 'morse'"),
    "spikes of ttfs": (
        ("convert", "model.pt2", *CONVERT, "--coding", "ttfs", "--spikes", "2"),
        "--spikes: ttfs code has no such parameter; it has steps, tau, delay, rounding",
    ),
    "base of rate": (
        ("convert", "model.pt2", *CONVERT, "--coding", "rate", "--base", "2"),
        "--base: rate code has no such parameter; it has steps",
    ),
    "base in words": (("convert", "model.pt2", *CONVERT, "--base", "two"), "--base must be a number or fit"),
    "base too small": (("convert", "model.pt2", *CONVERT, "--base", "0.5"), "base must be 'fit' or a number above 1"),
    "stride": (("convert", "model.pt2", *CONVERT, "--stride", "0"), "stride must be None or an integer from 1"),
    "stride of burst": (("convert", "model.pt2", *CONVERT, "--coding", "burst", "--stride", "2"), "no window form"),
    "input to be fitted": (("convert", "model.pt2", *CONVERT, "--input", "one-spike"), "nothing is fitted to an input"),
    "random input of windows": (("convert", "model.pt2", *CONVERT, "--input", "poisson"), "poisson input is a stream"),
    "unknown input": (("convert", "model.pt2", *CONVERT, "--input", "smell"), "unknown input code 'smell'"),
    "unknown neuron": (
        ("convert", "model.pt2", *CONVERT, "--neuron", "brain"),
        "neuron 'brain' is unknown; give one of integrate-fire, corrective, or",
    ),
    "percentile": (("convert", "model.pt2", *CONVERT, "--percentile", "most"), "--percentile must be a number"),
    "steps": (("convert", "model.pt2", *CONVERT, "--steps", "0"), "steps must be an integer"),
    "no samples": (("convert", "model.pt2", "--calibration", "no.npz", "-o", "n.snn"), "no.npz cannot be read"),
    "weights for a program": (("convert", "model.pt2", *CONVERT, "--weights", "weights.pt"), "brings its own weights"),
    "no weights": (("convert", "own_model:build", *CONVERT, "--weights", "no.pt"), "cannot be read as weights"),
    "broken weights": (
        ("convert", "own_model:build", *CONVERT, "--weights", "broken.pt2"),
        "cannot be read as weights",
    ),
    "broken safetensors": (
        ("convert", "own_model:build", *CONVERT, "--weights", "broken.safetensors"),
        "cannot be read as weights",
    ),
    "weights of another model": (("convert", "own_model:build", *CONVERT, "--weights", "other.pt"), "does not fit"),
    "no folder": (("convert", "model.pt2", "--calibration", "samples.npz", "-o", "no/n.snn"), "cannot be written"),
    "no network": (
        ("evaluate", "missing.snn", "--data", "samples.npz"),
        "missing.snn cannot be read: there is no such file\n",
    ),
    "no snnconv file": (("evaluate", "weights.safetensors", "--data", "samples.npz"), "not one that snnconv saved"),
    "batch": (("evaluate", "missing.snn", "--data", "samples.npz", "--batch", "0"), "--batch must be at least 1"),
    "steps of a run": (
        ("evaluate", "missing.snn", "--data", "samples.npz", "--steps", "0"),
        "steps must be an integer",
    ),
    "unknown code of a sweep": ((*SWEEP, "--codes", "rate,morse"), "--codes: unknown code 'morse'"),
    "steps of a sweep": ((*SWEEP, "--steps", "4,many"), "--steps must be integers such as 4,8,16, got '4,many'"),
    "no steps of a sweep": ((*SWEEP, "--steps", "0"), "steps must be an integer"),
    "no model of a sweep": (("sweep", "missing.pt2", *SWEEP[2:]), "missing.pt2 cannot be read"),
    "no samples of a sweep": ((*SWEEP, "--data", "no.npz"), "no.npz cannot be read"),
    "folder of a sweep": ((*SWEEP[:-1], "samples.npz/deeper"), "samples.npz/deeper cannot be made a folder"),
    "unknown simulator": (
        ("evaluate", "rate.snn", "--data", "samples.npz", "--simulator", "magic"),
        "unknown simulator 'magic'; known: auto, clock, window",
    ),
    "windows of a stream": (
        ("evaluate", "rate.snn", "--data", "samples.npz", "--simulator", "window"),
        "use simulator='clock'",
    ),
    "steps of a pipeline": (
        ("evaluate", "few.snn", "--data", "samples.npz", "--steps", "3"),
        "steps=3 is not supported under Pipeline",
    ),
    "too few targets": (("evaluate", "rate.snn", "--data", "short.npz"), "data: 40 inputs and 30 targets"),
    "too few targets of a sweep": ((*SWEEP, "--data", "short.npz"), "data: 40 inputs and 30 targets"),
    "targets between classes": (("evaluate", "rate.snn", "--data", "halves.npz"), "they must be class indices"),
    "targets between classes of a sweep": ((*SWEEP, "--data", "halves.npz"), "they must be class indices"),
    "a number for samples": (("evaluate", "rate.snn", "--data", "number.npy"), "it needs at least one sample"),
    "batch of a sweep": ((*SWEEP, "--batch", "0"), "--batch must be at least 1"),
    "steps of the demo": (("demo", "--steps", "0"), "steps must be an integer"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_a_mistake_ends_with_two_and_one_clear_line(
    kind: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("broken.pt2", "broken.safetensors"):
        (folder / name).write_bytes(b"nothing that can be read")
    torch.save({"first.weight": torch.zeros(2)}, folder / "other.pt")
    inputs = draw(40, 6, dtype=torch.float32)
    samples = inputs.numpy()
    np.savez(folder / "short.npz", inputs=samples, targets=np.zeros(30, int))
    np.savez(folder / "halves.npz", inputs=samples, targets=np.full(40, 0.5))
    np.save(folder / "number.npy", np.float32(1.0))
    arguments, message = ERRORS[kind]
    for name, code in {"rate.snn": Rate(4), "few.snn": FewSpike()}.items():
        if name in arguments:
            converted("mistakes", lambda: (prepared(Perceptron, torch.float32), inputs), coding=code).save(name)
    written = failure(capsys, monkeypatch, *arguments)
    assert written.startswith("error: ") and message in written
    assert not (folder / "n.snn").exists() and not (folder / "swept").exists()


def test_figures_that_cannot_be_written_are_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = failure(capsys, monkeypatch, "preflight", "model.pt2", "--shape", "6", "--json", "no/p.json")
    assert "no/p.json cannot be written" in written


def test_the_demo_shows_both_codes_beside_the_original(folder: Path) -> None:
    printed = run("demo", "--steps", "4", "--json", "demo.json")
    figures = json.loads((folder / "demo.json").read_text())
    rate, few = figures["rate"], figures["few-spike"]
    assert rate["steps"] == 4 and rate["samples"] == few["samples"] == 359
    assert rate["reference_accuracy"] > 95.0 and len(rate["accuracy_by_step"]) == 4
    assert few["steps"] == 3 * 8 and few["accuracy_by_step"] is None
    assert abs(few["accuracy"] - few["reference_accuracy"]) < 2.0
    assert "original (ANN)" in printed and f"{rate['accuracy_by_step'][3]:.2f}" in printed
    (line,) = [line for line in printed.splitlines() if "few-spike code, 8 steps a layer" in line]
    for figure in (str(few["steps"]), f"{few['accuracy']:.2f}", f"{few['spikes_per_neuron']:.2f}"):
        assert figure in line


def test_the_program_ends_with_two_and_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from snnconv.cli import main; main()", "evaluate", "no.snn", "--data", "no.npz"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no.snn cannot be read") and len(done.stderr.splitlines()) == 1
