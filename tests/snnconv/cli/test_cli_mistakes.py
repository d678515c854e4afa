"""Mistakes on the command line: an exit code, and one clear line."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from coding import FewSpike, Rate
from snnconv.cli.app import app
from tests.support.command_line import failure
from tests.support.conversion import converted
from tests.support.networks import Perceptron, draw, prepared


def test_what_cannot_be_converted_is_listed_and_ends_with_one(folder: Path) -> None:
    (folder / "smooth_model.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Linear(6, 6), nn.Softmax(1), nn.ReLU())\n"
    )
    result = CliRunner().invoke(app, ["preflight", "smooth_model:build", "--shape", "6", "--json", "p.json"])
    assert result.exit_code == 1 and "softmax" in result.output
    assert json.loads((folder / "p.json").read_text())["problems"][0]["op"] == "softmax"


CONVERT = ("--calibration", "samples.npz", "-o", "n.snn")
PROGRAM = ("convert", "model.pt2", "--trust")

SWEEP = ("sweep", "model.pt2", "--trust", "--calibration", "samples.npz", "--data", "samples.npz", "-o", "swept")

ERRORS: dict[str, tuple[tuple[str, ...], str]] = {
    "no model file": (("preflight", "missing.pt2", "--shape", "6"), "there is no such file"),
    "no exported program": (("preflight", "broken.pt2", "--shape", "6"), "broken.pt2 cannot be read"),
    "a program that nobody trusts": (
        ("preflight", "model.pt2", "--shape", "6"),
        "reading one can run code of its author: torch unpickles parts of it and evaluates expressions in it. Give "
        "--trust if you trust whoever wrote it",
    ),
    "no form of a model": (("preflight", "model", "--shape", "6"), "neither a .pt2 file nor"),
    "no module": (("preflight", "nowhere_at_all:build", "--shape", "6"), "it is looked for in the current folder"),
    "a name of other case": (("preflight", "own_model:Build", "--shape", "6"), "did you mean own_model:build?"),
    "a shape that does not fit": (
        ("preflight", "own_model:build", "--shape", "6,2"),
        "--shape 6,2 is that of one sample without its batch axis, and two are given: the model itself fails",
    ),
    "weights in place of the network to write": (
        (*PROGRAM, "--calibration", "samples.npz", "-o", "weights.pt"),
        "weights.pt holds weights of a model, or other tensors, and would be replaced: name another file",
    ),
    "no function": (("preflight", "own_model:missing", "--shape", "6"), "no function 'missing'"),
    "no model from a function": (("preflight", "own_model:number", "--shape", "6"), "returned a int"),
    "a function with arguments": (
        ("preflight", "own_model:sized", "--shape", "6"),
        "own_model:sized must be callable without arguments: missing a required argument: 'width'",
    ),
    "a class with arguments": (
        ("preflight", "own_model:Sized", "--shape", "6"),
        "write a function that gives them, such as def make(): return Sized(...), and name that",
    ),
    "a function that fails": (
        ("preflight", "own_model:failing", "--shape", "6"),
        "own_model:failing could not be called: FileNotFoundError: no trained weights (",
    ),
    "a module that fails": (
        ("preflight", "failing_model:build", "--shape", "6"),
        "imported: NameError: name 'network'",
    ),
    "a module that ends": (("preflight", "ending_model:build", "--shape", "6"), "imported: it ends the program; put"),
    "a file for a module": (("preflight", "own_model.py:build", "--shape", "6"), "without .py: own_model:build"),
    "a network for a model": (("preflight", "rate.snn", "--shape", "6"), "a spiking network: evaluate and export take"),
    "weights for a model": (("preflight", "weights.pt", "--shape", "6"), "convert takes them as --weights"),
    "weights for a program": (
        ("preflight", "other.pt2", "--shape", "6"),
        "it holds weights of a model, or other tensors; convert",
    ),
    "a network for samples": (
        (*PROGRAM, "--calibration", "rate.snn", "-o", "n.snn"),
        "it holds a spiking network; evaluate and export take it",
    ),
    "weights for samples": (
        (*PROGRAM, "--calibration", "weights.safetensors", "-o", "n.snn"),
        "it holds weights of a model, or other tensors; convert takes them as --weights",
    ),
    "samples for a network": (("evaluate", "samples.npz", "--data", "samples.npz"), "it holds samples; commands take"),
    "samples for a bundle": (
        ("run-lava", "samples.npz", "--data", "samples.npz"),
        "a Lava bundle, which export writes",
    ),
    "a network for a bundle": (("run-lava", "rate.snn", "--data", "samples.npz"), "which export writes: it holds a sp"),
    "files of a detector swapped": (
        ("detect", "a.png", "--model", "net.weights,net.cfg"),
        "darknet's weights (.weights); detect --model takes them second: net.cfg,net.weights",
    ),
    "no samples": (
        (*PROGRAM, "--calibration", "no.npz", "-o", "n.snn"),
        "no.npz cannot be read",
    ),
    "weights beside a program": (
        (*PROGRAM, *CONVERT, "--weights", "weights.pt"),
        "brings its own weights",
    ),
    "no weights": (
        ("convert", "own_model:build", *CONVERT, "--weights", "no.pt"),
        "no.pt cannot be read: there is no such file",
    ),
    "broken weights": (
        ("convert", "own_model:build", *CONVERT, "--weights", "broken.pt2"),
        "cannot be read as weights",
    ),
    "broken safetensors": (
        ("convert", "own_model:build", *CONVERT, "--weights", "broken.safetensors"),
        "cannot be read as weights",
    ),
    "weights of another model": (("convert", "own_model:build", *CONVERT, "--weights", "other.pt"), "does not fit"),
    "no folder": (
        (*PROGRAM, "--calibration", "samples.npz", "-o", "no/n.snn"),
        "cannot be written",
    ),
    "no folder, and nothing is computed for it": (
        ("convert", "missing.pt2", "--calibration", "samples.npz", "-o", "no/n.snn"),
        "no/n.snn cannot be written",
    ),
    "a name that no disk takes": (("preflight", "own_model:build", "--shape", "6", "--json", "j" * 300), "too long"),
    "a picture that no disk takes": (("detect", "p" * 300), "File name too long"),
    "no network": (
        ("evaluate", "missing.snn", "--data", "samples.npz"),
        "missing.snn cannot be read: there is no such file\n",
    ),
    "no snnconv file": (
        ("evaluate", "weights.safetensors", "--data", "samples.npz"),
        "it holds weights of a model, or other tensors; convert",
    ),
    "batch": (("evaluate", "missing.snn", "--data", "samples.npz", "--batch", "0"), "--batch must be at least 1"),
    "steps of a run": (
        ("evaluate", "missing.snn", "--data", "samples.npz", "--steps", "0"),
        "steps must be an integer",
    ),
    "unknown code of a sweep": ((*SWEEP, "--codes", "rate,morse"), "--codes: unknown code 'morse'"),
    "steps of a sweep": ((*SWEEP, "--steps", "4,many"), "--steps must be integers such as 4,8,16, got '4,many'"),
    "no steps of a sweep": ((*SWEEP, "--steps", "0"), "steps must be an integer"),
    "no model of a sweep": (("sweep", "missing.pt2", *SWEEP[3:]), "missing.pt2 cannot be read"),
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
    "too few targets": (("evaluate", "rate.snn", "--data", "short.npz"), "short.npz: 40 inputs and 30 targets"),
    "too few targets of a sweep": ((*SWEEP, "--data", "short.npz"), "short.npz: 40 inputs and 30 targets"),
    "targets between classes": (("evaluate", "rate.snn", "--data", "halves.npz"), "they must be class indices"),
    "targets between classes of a sweep": ((*SWEEP, "--data", "halves.npz"), "they must be class indices"),
    "a number for samples": (("evaluate", "rate.snn", "--data", "number.npy"), "it needs at least one sample"),
    "batch of a sweep": ((*SWEEP, "--batch", "0"), "--batch must be at least 1"),
    "no picture": (
        ("plot", "art", "rate.snn", "-o", "a.png"),
        "there is no picture 'art'; there are accuracy, energy, ",
    ),
    "a picture of no format": (
        ("plot", "accuracy", "rate.snn", "-o", "a.xyz", "--data", "samples.npz"),
        "--output a.xyz: its suffix says the format of a picture, one of ",
    ),
    "a picture without a suffix": (("plot", "accuracy", "rate.snn", "-o", "a"), "--output a: its suffix says"),
    "bits drawn in no format": (
        ("export", "rate.snn", "-o", "a.xyz", "--sweep-bits", "--data", "samples.npz"),
        "--output a.xyz: its suffix says",
    ),
    "no samples for a picture": (("plot", "accuracy", "rate.snn", "-o", "a.png"), "--data is missing"),
    "samples for a sweep's picture": (
        ("plot", "pareto", "out", "-o", "a.png", "--data", "samples.npz"),
        "--data: pareto has no use for it",
    ),
    "no sweep": (("plot", "pareto", "out.json", "-o", "a.png"), "out.json cannot be read"),
    "a sample that there is not": (
        ("plot", "spikes", "rate.snn", "-o", "a.png", "--data", "samples.npz", "--sample", "40"),
        "--sample 40: there are 40 samples, the first is 0",
    ),
    "no network to verify": (("verify", "missing.snn", "--data", "samples.npz"), "missing.snn cannot be read"),
    "steps of a pipeline to verify": (("verify", "few.snn", "--data", "samples.npz", "--steps", "3"), "under Pipeline"),
    "a search that minimises nothing known": (
        ("search", *PROGRAM[1:], "--calibration", "samples.npz", "--minimize", "weight"),
        "minimize must be one of",
    ),
    "bits of weights": (
        ("export", "rate.snn", "-o", "n.npz", "--weight-bits", "four"),
        "--weight-bits takes a number, and numbers by name, such as 4,features.0=8, got 'four'",
    ),
    "bits of weights twice": (("export", "rate.snn", "-o", "n.npz", "--weight-bits", "a=4, a=8"), "got 'a=4, a=8'"),
    "bits of weights of nobody": (
        ("export", "rate.snn", "-o", "n.npz", "--weight-bits", "4,head=8"),
        "weight_bits: 'head' is no population and no output; there are relu, ",
    ),
    "bits of weights for netx": (
        ("export", "rate.snn", "-o", "n.npz", "--target", "netx", "--weight-bits", "4"),
        "--weight-bits is for --target lava and c",
    ),
    "steps of the demo": (("demo", "--steps", "0"), "steps must be an integer"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_a_mistake_ends_with_two_and_one_clear_line(
    kind: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("broken.pt2", "broken.safetensors"):
        (folder / name).write_bytes(b"nothing that can be read")
    for name in ("other.pt", "other.pt2"):
        torch.save({"first.weight": torch.zeros(2)}, folder / name)
    (folder / "failing_model.py").write_text("def build():\n    return network\n\nbuild()\n")
    (folder / "ending_model.py").write_text("import sys\nsys.exit(1)\n")
    (folder / "net.weights").write_bytes(struct.pack("<3iq", 0, 2, 0, 0) + bytes(40))
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
    written = failure(capsys, monkeypatch, "preflight", "model.pt2", "--trust", "--shape", "6", "--json", "no/p.json")
    assert "no/p.json cannot be written" in written


def test_the_program_ends_with_two_and_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from snnconv.cli import main; main()", "evaluate", "no.snn", "--data", "no.npz"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no.snn cannot be read") and len(done.stderr.splitlines()) == 1
