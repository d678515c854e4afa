"""The command that measures a network under many codes: what it prints and writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import snnconv
from snnconv.cli.app import app
from tests.support.networks import GraphConvolution, draw, prepared


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


SWEEP = ("sweep", "model.pt2", "--trust", "--calibration", "samples.npz")


def test_a_sweep_writes_a_table_a_file_and_a_picture_and_goes_on(folder: Path) -> None:
    arguments = (
        "sweep",
        "own_model:build",
        "--weights",
        "weights.safetensors",
        "--calibration",
        "samples.npz",
        "--data",
        "samples.npz",
    )
    estimate = run(*arguments, "--codes", "rate,phase", "--steps", "2,4", "-o", "out/swept", "--estimate")
    assert "\n4 configurations to measure, 0 stored: " in f"\n{estimate}" and not (folder / "out").exists()
    printed = run(*arguments, "--codes", "rate,phase", "--steps", "2,4", "-o", "out/swept")
    lines = [line.split() for line in printed.splitlines() if not line.startswith("warning: ")]
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
    module = sys.modules["snnconv.sweeps.rows"]
    evaluate = module.evaluate

    def watched(network: Any, data: Any, **options: Any) -> Any:
        sizes.extend(len(inputs) for inputs, _ in data)
        return evaluate(network, data, **options)

    monkeypatch.setattr(module, "evaluate", watched)
    arguments = (
        *SWEEP,
        "--data",
        "samples.npz",
        "--steps",
        "3",
    )
    run(*arguments, "--codes", "rate", "-o", "swept", "--batch", "15")
    run(*arguments, "--codes", "rate", "-o", "swept", "--batch", "40")  # the same data: nothing is measured again
    assert sizes == [15, 15, 10]
    assert snnconv.Sweep.load("swept/sweep.json").results[0].samples == 40


def test_a_whole_graph_is_one_batch(folder: Path) -> None:
    model, nodes = prepared(GraphConvolution, torch.float32), draw(6, 5, dtype=torch.float32)
    torch.export.save(torch.export.export(model, (nodes,)), folder / "graph.pt2")
    np.savez(folder / "graph.npz", inputs=nodes.numpy(), targets=model(nodes).argmax(1).numpy())
    swept = ("sweep", "graph.pt2", "--trust", "--calibration", "graph.npz", "--data", "graph.npz", "-o", "swept")
    assert "; 1 samples" in run(*swept, "--codes", "rate", "--steps", "64")
    run("convert", "graph.pt2", "--trust", "--calibration", "graph.npz", "-o", "graph.snn")
    assert "; 1 samples" in run("evaluate", "graph.snn", "--data", "graph.npz")


def test_a_sweep_without_a_single_result_ends_with_one(folder: Path) -> None:
    arguments = ("sweep", "model.pt2", "--trust", "--calibration", "samples.npy", "--data", "samples.npz", "-o", "out")
    result = CliRunner().invoke(app, [*arguments, "--codes", "phase", "--steps", "4", "--neuron", "corrective"])
    assert result.exit_code == 1
    assert "failed: phase 4: " in result.output
    assert not (folder / "out/pareto.png").exists()


def test_a_sweep_gives_a_parameter_to_every_code_that_has_it(folder: Path) -> None:
    arguments = (
        *SWEEP,
        "--data",
        "samples.npz",
        "-o",
        "swept",
    )
    run(*arguments, "--codes", "one-spike,rate", "--steps", "4", "--base", "1.5", "--initial-potential", "0")
    one, rate = snnconv.Sweep.load("swept/sweep.json").results
    assert (one.code, rate.code) == ("one-spike", "rate")
    entry = json.loads((folder / "swept/sweep.json").read_text())
    assert "base=1.5" in entry["results"]["one-spike 4"]["fingerprint"]
    assert "initial_potential=0.0" in entry["common"]["set of options"]
