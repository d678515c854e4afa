"""The command line: what it prints and writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from typer.testing import CliRunner

import snnconv
from coding import TTFS, Burst, CodingPlan, Concurrent, FewSpike, OneSpike, Phase, Pipeline, Rate
from snnconv.cli.app import app
from tests.support.networks import Perceptron


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


RATE = ("--coding", "rate", "--steps", "32")

MODELS = {
    "exported program": ("model.pt2", "--trust"),
    "function with safetensors": ("own_model:build", "--weights", "weights.safetensors"),
    "function with torch weights": ("own_model:build", "--weights", "weights.pt"),
}


def test_a_model_may_import_from_its_folder_and_paths_of_its_own_when_it_is_called(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (folder / "parts").mkdir()
    (folder / "parts" / "deep_part.py").write_text("from own_model import build\n")
    (folder / "near_part.py").write_text("import deep_part\n")
    (folder / "late_model.py").write_text(
        "import sys\nsys.path.insert(0, 'parts')\ndef build():\n    import near_part\n"
        "    return near_part.deep_part.build().double()\n"
    )
    result = CliRunner().invoke(app, ["preflight", "late_model:build", "--shape", "6"])
    assert result.exit_code == 0 and "convertible" in result.output


def test_a_module_is_taken_as_it_is_and_what_a_function_makes_with_a_warning(folder: Path) -> None:
    convert = ("--calibration", "samples.npz", "-o", "n.snn")
    inputs = torch.from_numpy(np.load("samples.npy"))
    weights = safetensors.torch.load_file("weights.safetensors")
    for model, given, warned in (
        ("own_model:perceptron", (), False),
        ("own_model:perceptron", ("--weights", "weights.pt"), False),
        ("own_model:build", ("--weights", "weights.pt"), False),
        ("own_model:build", (), True),
        ("model.pt2", ("--trust",), False),
    ):
        result = CliRunner().invoke(app, ["convert", model, *given, *convert], catch_exceptions=False)
        assert result.exit_code == 0 and ("warning: no --weights were given" in result.stderr) is warned, result.output
        found = snnconv.load("n.snn").reference(inputs)
        if model == "own_model:perceptron":
            expected = sys.modules["own_model"].perceptron(inputs)
            assert torch.allclose(found, expected, atol=1e-5)
        if "--weights" in given:
            trained = Perceptron()
            trained.load_state_dict(weights)
            assert torch.allclose(found, trained(inputs), atol=1e-5)


def test_samples_in_another_precision_are_cast_and_that_is_said(folder: Path) -> None:
    with np.load("samples.npz") as archive:
        np.savez("double.npz", inputs=archive["inputs"].astype(np.float64), targets=archive["targets"])
    said = "samples of torch.float64 were cast to torch.float32, the precision of the network"
    networks = []
    for name in ("samples.npz", "double.npz"):
        convert = ["convert", "model.pt2", "--trust", "--calibration", name, "-o", "n.snn"]
        result = CliRunner().invoke(app, convert, catch_exceptions=False)
        assert (f"calibration: {said}" in result.stderr) is (name == "double.npz")
        networks.append(safetensors.torch.load_file("n.snn"))
    assert networks[0].keys() == networks[1].keys()
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])
    for command in (
        ["evaluate", "n.snn", "--data", "double.npz"],
        [
            *("sweep", "model.pt2", "--trust", "--calibration", "samples.npz"),
            "--data",
            "double.npz",
            "-o",
            "s",
            "--steps",
            "4",
        ],
    ):
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        assert result.exit_code == 0 and result.stderr.count(f"data: {said}") == 1


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


def test_options_reach_the_library(folder: Path) -> None:
    run(
        *("convert", "model.pt2", "--trust", "--calibration", "samples.npy", "-o", "n.snn", "--neuron", "corrective"),
        *("--input", "poisson", "--normalization", "layer", "--percentile", "mse", "--coding", "rate", "--steps", "5"),
    )
    network = snnconv.load("n.snn")
    (population,) = network.populations.values()
    assert type(population.neuron).__name__ == "CorrectiveIntegrateFire"
    assert network.plan.input.name == "poisson" and population.scale.numel() == 1
    run(
        *("convert", "model.pt2", "--trust", "--calibration", "samples.npy", "-o", "n.snn", "--coding", "one-spike"),
        *("--initial-potential", "0.25", "--no-bias-correction", "--percentile", "100"),
    )
    (population,) = snnconv.load("n.snn").populations.values()
    assert population.neuron.initial_potential == 0.25  # type: ignore[attr-defined]
    assert not bool(population.shift.any())
    network.save("n.snn")
    run("evaluate", "n.snn", "--data", "samples.npy", "--steps", "3", "--json", "result.json")
    assert json.loads((folder / "result.json").read_text())["steps"] == 3


def test_auto_searches_for_codes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnconv.search.searching.CANDIDATES", (OneSpike(4), FewSpike(6)))
    options = ("--coding", "auto", "--max-loss", "40", "--minimize", "latency")
    printed = run("convert", "model.pt2", "--trust", "--calibration", "samples.npz", "-o", "n.snn", *options)
    assert printed.startswith("the search fits ") and "an estimate from one network" in printed
    assert "few-spike(6" in printed and snnconv.load("n.snn").plan.schedule == Pipeline()


def test_few_spike_code_is_the_default_and_is_fitted(folder: Path) -> None:
    printed = run("convert", "model.pt2", "--trust", "--calibration", "samples.npz", "-o", "n.snn")
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
    "burst with parameters": (
        ("--coding", "burst", "--threshold", "0.25", "--gain", "1.5", "--largest-gain", "8"),
        CodingPlan(Burst(threshold=0.25, gain=1.5, largest_gain=8.0)),
    ),
    "input with parameters": (
        (
            *("--coding", "ttfs", "--steps", "20", "--tau", "5", "--delay", "-1", "--rounding", "geometric"),
            *("--input", "ttfs:steps=20,tau=4,rounding=floor"),
        ),
        CodingPlan(TTFS(20, 5.0, -1.0, "geometric"), input=TTFS(20, 4.0)),
    ),
    "two periods of phase": (
        ("--coding", "phase", "--threshold", "1", "--input", "phase", "--concurrent", "16"),
        CodingPlan(Phase(threshold=1.0), input=Phase(), schedule=Concurrent(16)),
    ),
    "counts at the output": (
        ("--coding", "rate", "--steps", "32", "--decoding", "spike-count"),
        CodingPlan(Rate(32)),
    ),
    "rate in windows": (("--coding", "rate", "--stride", "64"), CodingPlan(Rate(), schedule=Pipeline(64))),
}


@pytest.mark.parametrize("kind", CODES)
def test_codes_take_their_parameters(kind: str, folder: Path) -> None:
    options, plan = CODES[kind]
    run("convert", "model.pt2", "--trust", "--calibration", "samples.npz", "-o", "n.snn", *options)
    network = snnconv.load("n.snn")
    assert network.plan == plan and len(network.populations) == 1 + ("--decoding" in options)
    run("evaluate", "n.snn", "--data", "samples.npz", "--json", "result.json")
    assert json.loads((folder / "result.json").read_text())["accuracy"] > 50.0


def test_both_simulators_measure_the_same(folder: Path) -> None:
    run("convert", "model.pt2", "--trust", "--calibration", "samples.npz", "-o", "n.snn", "--base", "1.5")
    figures = []
    for simulator in ("clock", "window", "auto"):
        run("evaluate", "n.snn", "--data", "samples.npz", "--simulator", simulator, "--json", "result.json")
        figures.append(json.loads((folder / "result.json").read_text()))
    assert figures[0]["spikes"] == figures[1]["spikes"] and figures[1] == figures[2]
    assert figures[0]["accuracy_by_step"] is None and figures[0]["steps"] == 8


def test_the_demo_shows_both_codes_beside_the_original(folder: Path) -> None:
    printed = run("demo", "--steps", "4", "--json", "demo.json")
    figures = json.loads((folder / "demo.json").read_text())
    rate, few = figures["rate"], figures["few-spike"]
    assert rate["steps"] == 4 and rate["samples"] == few["samples"] == 359
    assert rate["reference_accuracy"] > 95.0 and len(rate["accuracy_by_step"]) == 4
    assert few["steps"] == 3 * 8 and few["accuracy_by_step"] is None
    assert abs(few["accuracy"] - few["reference_accuracy"]) < 2.0
    assert "original (ANN)" in printed and f"{rate['accuracy_by_step'][3]:.2f}" in printed
    assert "snnconv convert package.module:function" in printed and len(printed.splitlines()) <= 22
    assert max(len(line) for line in printed.splitlines() if "snnconv" in line) < 80, "one screen"
    (line,) = [line for line in printed.splitlines() if "│ few-spike code" in line]
    for figure in (str(few["steps"]), f"{few['accuracy']:.2f}", f"{few['spikes_per_neuron']:.2f}"):
        assert figure in line


def test_help_offers_what_a_name_alone_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    for command in ("convert", "sweep"):
        told = run(command, "--help")
        assert "few-spike, table-spike" in told and "whole-table" not in told
        assert "Neuron: integrate-fire, corrective" in told and "signed-window" not in told


def test_what_may_stay_real_valued_is_named_on_the_command_line(folder: Path) -> None:
    Path("tailed.py").write_text(
        "from torch import nn\n"
        "model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4), nn.LogSoftmax(1), nn.Linear(4, 2)).eval()\n"
    )
    model, share = "tailed:model", "8 of 88 multiply-accumulates (9.1 %) stay real-valued"
    refused = CliRunner().invoke(app, ["preflight", model, "--shape", "6"])
    assert refused.exit_code == 1 and 'analog=["4"]' in refused.output.replace("\n", "")
    for command in (
        ("preflight", model, "--shape", "6"),
        ("convert", model, "--calibration", "samples.npz", "-o", "n.snn"),
        ("sweep", model, "--calibration", "samples.npz", "--data", "samples.npy", "-o", "s", "--steps", "4"),
    ):
        assert share in " ".join(run(*command, "--analog", "4").split())
    assert share in " ".join(run("evaluate", "n.snn", "--data", "samples.npy").split())


def test_evaluate_takes_targets_for_what_the_options_say(folder: Path) -> None:
    run("convert", "model.pt2", "--trust", "--calibration", "samples.npz", "-o", "n.snn")
    with np.load("samples.npz") as archive:
        inputs, targets = archive["inputs"], archive["targets"]
    np.savez("void.npz", inputs=inputs, targets=np.where(targets == targets[0], 255, targets))
    run("evaluate", "n.snn", "--data", "void.npz", "--ignore-index", "255", "--json", "void.json")
    figures = json.loads(Path("void.json").read_text())
    assert figures["judged"] == (targets != targets[0]).sum() and figures["reference_accuracy"] == 100.0
    with torch.no_grad():
        outputs = snnconv.load("n.snn").reference(torch.from_numpy(inputs)).numpy()
    np.savez("values.npz", inputs=inputs, targets=np.round(outputs))  # whole numbers, and values all the same
    run("evaluate", "n.snn", "--data", "values.npz", "--judge", "value", "--json", "values.json")
    figures = json.loads(Path("values.json").read_text())
    assert figures["reference_errors"]["mse"] == pytest.approx(float(((outputs - np.round(outputs)) ** 2).mean()))


def test_workers_convert_to_the_same_file(folder: Path) -> None:
    convert = ("convert", "own_model:build", "--weights", "weights.pt", "--calibration", "samples.npz", "-o")
    one = run(*convert, "one.snn")
    assert run(*convert, "two.snn", "--workers", "1") == one.replace("one.snn", "two.snn")
    one_state, two_state = (snnconv.load(name).state_dict() for name in ("one.snn", "two.snn"))
    assert all(torch.equal(two_state[name], tensor) for name, tensor in one_state.items())
    refused = CliRunner().invoke(app, [*convert, "three.snn", "--workers", "0"])
    assert "--workers must be a number of at least 1" in str(refused.exception)
    assert not Path("three.snn").exists()
