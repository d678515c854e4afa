"""Commands that are interrupted, killed or cut off from their reader: one line, a status, nothing half-written."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import snnconv
from coding import Concurrent, OneSpike, Rate
from hw_export import lava
from snnconv.cli import main
from snnconv.cli.app import add_commands_of_others, app
from tests.support.detector_files import LABELLED, write_detector
from tests.support.networks import Perceptron, draw, prepared

NOTHING = "no result is kept; the same command begins anew"
SAMPLES = ("--calibration", "samples.npz")
DETECTOR = ("--model", "net.cfg,net.weights", "--names", "classes.txt")


@dataclass(frozen=True)
class Case:
    """A command, the call (the how manyth) at which a signal comes, what is said to be kept, and files that are new."""

    arguments: tuple[str, ...]
    module: str
    function: str
    said: str = NOTHING
    new: tuple[str, ...] = ()
    call: int = 1


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """What a shell starts in the background ignores SIGINT, and so do its children: not here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


CASES = {
    "demo": Case((), "snnconv.cli.commands.demo", "train_digits_cnn"),
    "doctor": Case(("--json", "d.json"), "snnconv.cli.commands.doctor", "installation_state"),
    "preflight": Case(("own_model:build", "--shape", "6", "--json", "p.json"), "snnconv", "preflight"),
    "convert": Case(
        ("own_model:perceptron", *SAMPLES, "-o", "new.snn"),
        "snnconv",
        "verify",
        "new.snn is written; the same command verifies it again",
        ("new.snn",),
    ),
    "search": Case(("own_model:perceptron", *SAMPLES, "-o", "new.snn"), "snnconv", "convert"),
    "verify": Case(("n.snn", "--data", "samples.npz", "--json", "v.json"), "snnconv", "verify"),
    "plot": Case(("verification", "n.snn", "--data", "samples.npz", "-o", "v.png"), "snnconv", "verify"),
    "evaluate": Case(("n.snn", "--data", "samples.npz", "--json", "e.json"), "snnconv", "evaluate"),
    "report": Case(("n.snn", "--data", "samples.npz", "-o", "r.html"), "snnconv", "report"),
    "sweep": Case(
        ("own_model:perceptron", *SAMPLES, "--data", "samples.npz", "-o", "out", "--codes", "rate", "--steps", "2,4"),
        "snnconv.sweeps.rows",
        "evaluate",
        "1 results are in out/sweep.json; the same command measures the others",
        ("out", "out/sweep.json"),
        call=2,
    ),
    "tune": Case(
        ("pipeline.snn", "--data", "samples.npz", "-o", "new.snn", "--epochs", "2", "--checkpoint", "run"),
        "snnconv.training.checkpoint",
        "write_whole",
        "the epochs that were finished are in run; the same command goes on from there",
        ("run",),
        call=3,
    ),
    "train": Case(
        ("--data", "values.npz", "-o", "new.snn", "--hidden", "4", "--steps", "12", "--last", "6", "--epochs", "1"),
        "snnconv.learning",
        "train",
        "no epoch is kept; with --checkpoint FILE the same command goes on where it stopped",
    ),
    "detect": Case(
        ("images", *DETECTOR, "-o", "found", "--coding", "rate", "--steps", "2"),
        "snnconv.cli.commands.detect",
        "side_by_side",
        "1 pictures are in found; the same command draws all again",
        ("found", "found/0.png"),
        call=2,
    ),
    "evaluate-detector": Case(
        (*DETECTOR, "--data", ".", "--calibration", "images", "--coding", "rate", "--steps", "2", "--json", "d.json"),
        "snnconv.cli.commands.evaluate_detector",
        "evaluate",
    ),
    "train-detector": Case(
        ("-o", "new.weights", "--config", "net.cfg", *LABELLED, "--epochs", "3", "--checkpoint", "run"),
        "snnconv.training.checkpoint",
        "write_whole",
        "the epochs that were finished are in run; the same command goes on from there",
        ("run",),
        call=3,
    ),
    "export": Case(("n.snn", "-o", "new.npz"), "hw_export.lava.bundle", "write_whole"),
    "run-lava": Case(
        ("n.npz", "--data", "samples.npz", "--interpreter", "./python"),
        "hw_export.lava.child",
        "Child.wait",
        new=("pid",),
    ),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network and a bundle, a detector with labelled pictures, and a slow Python."""
    files = tmp_path_factory.mktemp("made")
    network = snnconv.convert(
        prepared(Perceptron, torch.float32),
        draw(40, 6, dtype=torch.float32),
        coding=Rate(4),
        schedule=Concurrent(4),
    )
    network.save(files / "n.snn")
    model = prepared(Perceptron, torch.float32)
    snnconv.convert(model, draw(40, 6, dtype=torch.float32), coding=OneSpike(4)).save(files / "pipeline.snn")
    np.savez(files / "values.npz", inputs=np.full((12, 6), 0.5, np.float32), targets=np.arange(12) % 3)
    lava.export(network, files / "n.npz")
    write_detector(files)
    (files / "python").write_text("#!/bin/sh\necho $$ > pid\nexec sleep 300\n")
    (files / "python").chmod(0o755)
    return files


@pytest.fixture
def folder(made: Path, folder: Path) -> Iterator[Path]:
    shutil.copytree(made, folder, dirs_exist_ok=True)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield folder
    for number, handler in before.items():
        signal.signal(number, handler)


def inside(folder: Path) -> set[str]:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {name for name in found if "__pycache__" not in name}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    """The exit status of the program."""
    monkeypatch.setattr(sys, "argv", ["snnconv", *arguments])
    with pytest.raises(SystemExit) as found:
        main()
    return found.value.code


def interrupt(patch: pytest.MonkeyPatch, case: Case, number: signal.Signals) -> None:
    import_module(case.module)
    *owners, name = case.function.split(".")
    owner, left = reduce(getattr, owners, sys.modules[case.module]), [case.call]
    original: Callable[..., Any] = getattr(owner, name)

    def interrupted(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            if case.function == "Child.wait":
                while not (Path("pid").exists() and Path("pid").read_text()):
                    time.sleep(0.01)
            signal.raise_signal(number)
        return original(*arguments, **options)

    patch.setattr(owner, name, interrupted)


def test_every_command_has_a_case() -> None:
    add_commands_of_others()
    names = {each.name or each.callback.__name__.replace("_", "-") for each in app.registered_commands if each.callback}
    assert names == CASES.keys()


@pytest.mark.parametrize("command", CASES)
def test_an_interrupted_command_says_in_one_line_what_it_kept(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    case, before = CASES[command], inside(folder)
    number, why, status = {
        True: (signal.SIGINT, "interrupted", 130),
        False: (signal.SIGTERM, "ended by SIGTERM", 143),
    }[len(command) % 2 == 0]
    with monkeypatch.context() as patch:
        interrupt(patch, case, number)
        assert run(patch, command, *case.arguments) == status
    told = capfd.readouterr().err.splitlines()
    assert [line for line in told if not line.startswith("warning: ")] == [f"{why}: {case.said}"]
    assert inside(folder) - before == set(case.new)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN, "a second Ctrl-C does not disturb the end"
    if command == "run-lava":
        with pytest.raises(ProcessLookupError):
            os.kill(int(Path("pid").read_text()), 0)


def test_an_interrupted_sweep_and_training_come_to_what_they_come_to_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snnconv.Sweep, "plot", lambda *_: None)  # which takes the longest
    for command, kept in (("sweep", "out/sweep.json"), ("train-detector", "new.weights")):
        case, contents = CASES[command], []
        for interrupted in (True, False):
            for name in case.new:
                if Path(name).is_file():
                    Path(name).unlink()
            if interrupted:
                with monkeypatch.context() as patch:
                    interrupt(patch, case, signal.SIGINT)
                    run(patch, command, *case.arguments)
            assert run(monkeypatch, command, *case.arguments) in (0, None)
            contents.append(Path(kept).read_bytes())
        assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("command", "said", "new"),
    [
        ("preflight", "p.json is written", {"p.json"}),
        ("evaluate", "e.json is written", {"e.json"}),
        ("convert", "new.snn is written; the same command verifies it again", {"new.snn"}),
    ],
)
def test_a_reader_that_takes_no_more_ends_a_command_behind_its_files(
    command: str,
    said: str,
    new: set[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before, (reading, writing) = inside(folder), os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", closed)
        assert run(patch, command, *CASES[command].arguments) == 141
    assert capfd.readouterr().err.splitlines()[-1:] == [f"standard output was closed: {said}"]
    assert inside(folder) - before == new


def test_figures_go_to_a_device_as_they_come(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ("preflight", "own_model:build", "--shape", "6", "--json")
    assert run(monkeypatch, *arguments, "/dev/null") in (0, None)
    capfd.readouterr()
    assert run(monkeypatch, *arguments, "/dev/full") == 2
    written = capfd.readouterr()
    assert "/dev/full cannot be written: No space left on device" in written.err
    assert written.out.startswith("convertible: "), "what was found is told even so"


def test_a_full_disk_behind_the_output_is_told_in_a_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert run(patch, "preflight", "own_model:build", "--shape", "6", "--json", "p.json") == 2
    assert capfd.readouterr().err == "error: [Errno 28] No space left on device\n"
    assert (folder / "p.json").exists()


def test_signals_that_were_ignored_stay_ignored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup and a shell in the background leave them
    with monkeypatch.context() as patch:
        interrupt(patch, CASES["preflight"], signal.SIGINT)
        assert run(patch, "preflight", *CASES["preflight"].arguments) in (0, None)
