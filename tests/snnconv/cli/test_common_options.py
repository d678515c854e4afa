"""Options that mean the same in every command: --limit, --device, --json, --quiet."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import snnconv
from coding import FewSpike, OneSpike
from snnconv.cli import main
from snnconv.cli.app import app
from snnconv.cli.models import moved
from tests.support.networks import Perceptron, draw, prepared

CONVERT = ("convert", "own_model:build", "--weights", "weights.pt", "--calibration", "samples.npz", "-o", "n.snn")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def figures(file: str = "figures.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(file).read_text())
    return found


def test_only_so_many_samples_are_taken_as_are_asked_for(folder: Path) -> None:
    run(*CONVERT, "--limit", "20")
    for command in ("evaluate", "verify"):
        run(command, "n.snn", "--data", "samples.npz", "--limit", "7", "--json", "figures.json")
        assert figures()["samples"] == 7
    found = run(
        "tune", "n.snn", "--data", "samples.npz", "-o", "t.snn", "--limit", "20", "--epochs", "1", "--batch", "8"
    )
    assert "written: t.snn" in found


def test_verify_says_what_hurts_most(folder: Path) -> None:
    run(*CONVERT)
    printed = run("verify", "n.snn", "--data", "samples.npz", "--json", "figures.json", "--workers", "1")
    wanted = snnconv.verify(snnconv.load("n.snn"), torch.from_numpy(np.load("samples.npy")))
    assert printed.rstrip() == str(wanted)
    assert figures()["output"] == wanted.output and figures()["reading"] == json.loads(json.dumps(vars(wanted.reading)))


def test_a_search_lists_what_it_tried_and_writes_what_it_chose(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnconv.search.searching.CANDIDATES", (OneSpike(4), FewSpike(6)))
    search = (
        "search",
        "own_model:build",
        "--weights",
        "weights.pt",
        "--calibration",
        "samples.npz",
        "--max-loss",
        "40",
    )
    printed = run(*search, "--json", "figures.json")
    found = figures()
    chosen = found["search"]["trials"][found["search"]["chosen"]]
    assert f"* {chosen['codes']}" in printed and "written" not in printed
    assert [each["code"].partition("(")[0] for each in found["populations"]] in (["few-spike"], ["one-spike"])
    run(*search, "-o", "n.snn", "--minimize", "latency", "--quiet")
    by_convert = (*CONVERT[:-1], "c.snn", "--coding", "auto", "--max-loss", "40", "--minimize", "latency", "--quiet")
    run(*by_convert)
    searched, converted = snnconv.load("n.snn"), snnconv.load("c.snn")
    assert searched.plan == converted.plan


def test_what_is_quiet_prints_nothing_and_writes_its_files(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(*CONVERT, "--quiet", "--json", "figures.json") == ""
    assert [each["neurons"] for each in figures()["populations"]] == [12]
    assert figures()["verification"]["samples"] == 8
    assert run("evaluate", "n.snn", "--data", "samples.npz", "-q", "--json", "figures.json") == ""
    assert figures()["samples"] == 40
    assert "accuracy" in run("evaluate", "n.snn", "--data", "samples.npz"), "the next command speaks again"


def test_what_went_wrong_is_told_however_quiet(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["snnconv", "verify", "n.snn", "--data", "samples.npz", "--quiet"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2 and "n.snn cannot be read" in capfd.readouterr().err


def test_training_and_sweeps_write_their_figures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snnconv.Sweep, "plot", lambda *_: None)
    run(*CONVERT)
    run("tune", "n.snn", "--data", "samples.npz", "-o", "t.snn", "--epochs", "1", "--json", "figures.json")
    names = {field.name for field in dataclasses.fields(snnconv.TuningLog)}
    assert figures().keys() == names and len(figures()["losses"]) == 1
    sweep = ("sweep", *CONVERT[1:-1], "out", "--data", "samples.npz", "--codes", "rate", "--steps", "2", "--limit", "9")
    run(*sweep, "--json", "figures.json")
    (result,) = figures()["results"]
    assert (result["label"], result["samples"]) == ("rate 2", 9)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--limit", "0"), "--limit must be at least 1, got 0"),
        (("--device", "abacus"), "--device abacus cannot be used: "),
        (("--device", "meta"), "--device meta cannot be used: "),
    ],
)
def test_a_number_and_a_device_that_cannot_be_are_refused_at_once(
    options: tuple[str, str], reason: str, folder: Path
) -> None:
    commands = (CONVERT, ("evaluate", "no.snn", "--data", "no.npz"), ("train", "--data", "no.npz", "-o", "n.snn"))
    for command in commands:
        found = CliRunner().invoke(app, [*command, *options])
        assert isinstance(found.exception, snnconv.ConfigurationError) and reason in str(found.exception)


def test_models_are_moved_whatever_their_form() -> None:
    """On a machine with one kind of device the other is that of tensors without values."""
    model, x = prepared(Perceptron, torch.float32), draw(3, 6, dtype=torch.float32)
    program = torch.export.export(model, (x,))
    assert moved(program, "cpu") is program
    tensors = [*moved(program, "meta").state_dict.values()]
    assert tensors and all(isinstance(each, Tensor) and each.device.type == "meta" for each in tensors)
    assert next(moved(model, "meta").parameters()).device.type == "meta"  # type: ignore[union-attr]
