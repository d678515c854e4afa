"""Options that a command has no use for as it was called: they are refused by name, before anything is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import snnconv
from snnconv.cli.app import add_commands_of_others, app
from tests.support.networks import draw

PLOT = ("-o", "a.png")
EVALUATE = ("evaluate", "no.snn", "--data", "no.npz")
REPORT = ("report", "no.snn", "-o", "r.html")
TRAIN_DETECTOR = ("train-detector", "-o", "net.weights")
NETWORK, SAMPLE = ("accuracy", "energy", "verification", "intervals"), ("spikes", "membranes")

USELESS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    *(
        (("plot", "pareto", "out", *PLOT), option)
        for option in (
            ("--data", "no.npz"),
            ("--limit", "3"),
            ("--device", "cpu"),
            ("--workers", "2"),
            ("--population", "relu"),
            ("--sample", "0"),
            ("--neurons", "8"),
        )
    ),
    *((("plot", kind, "no.snn", *PLOT), ("--cost", "spikes")) for kind in NETWORK + SAMPLE),
    *((("plot", kind, "no.snn", *PLOT), ("--population", "relu")) for kind in NETWORK),
    *((("plot", kind, "no.snn", *PLOT), ("--sample", "1")) for kind in NETWORK),
    *((("plot", kind, "no.snn", *PLOT), ("--neurons", "1")) for kind in NETWORK),
    *((("plot", kind, "no.snn", *PLOT), ("--workers", "1")) for kind in (*SAMPLE, "intervals")),
    *((command, ("--weights", "no.pt")) for command in (EVALUATE, REPORT)),
    *((command, ("--trust",)) for command in (EVALUATE, REPORT)),
    *(
        (REPORT, option)
        for option in (("--limit", "3"), ("--batch", "3"), ("--judge", "class"), ("--ignore-index", "1"))
    ),
    ((*REPORT, "--picture", "images"), ("--names", "names.txt")),
    (("export", "no.snn", "-o", "n.npz"), ("--limit", "3")),
    (("detect", "a.png"), ("--samples", "3")),
    *((command, ("--layout", "voc")) for command in (("evaluate-detector",), TRAIN_DETECTOR)),
    *((command, ("--split", "val")) for command in (("evaluate-detector",), TRAIN_DETECTOR)),
    *((command, ("--annotations", "a.json")) for command in (("evaluate-detector",), TRAIN_DETECTOR)),
    (TRAIN_DETECTOR, ("--names", "names.txt")),
    ((*TRAIN_DETECTOR, "--config", "net.cfg", "--data", "images", "--layout", "coco"), ("--names", "names.txt")),
    ((*TRAIN_DETECTOR, "--config", "net.cfg", "--data", "images"), ("--split", "trainval")),
    ((*TRAIN_DETECTOR, "--config", "net.cfg", "--data", "images", "--layout", "voc"), ("--annotations", "a.json")),
]


@pytest.fixture(scope="module", autouse=True)
def commands_of_all_packages() -> None:
    add_commands_of_others()


@pytest.mark.parametrize(("command", "option"), USELESS, ids=lambda words: " ".join(words))
def test_an_option_without_use_is_refused_by_name(
    command: tuple[str, ...], option: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, [*command, *option])
    assert isinstance(found.exception, snnconv.ConfigurationError), found.output
    assert str(found.exception).startswith(f"{option[0]}: ")
    assert [*tmp_path.iterdir()] == []


def test_an_estimate_writes_its_figures(folder: Path) -> None:
    sweep = ("sweep", "own_model:perceptron", "--calibration", "samples.npz", "--data", "samples.npz", "-o", "out")
    arguments = [*sweep, "--codes", "rate", "--steps", "2", "--estimate", "--quiet", "--json", "figures.json"]
    found = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert found.exit_code == 0 and found.output == "" and not Path("out").exists()
    figures = json.loads(Path("figures.json").read_text())
    assert figures["passes"].keys() == {"rate 2"} and figures["seconds"] > 0 and figures["stored"] == 0


def test_few_sorted_samples_do_not_take_outputs_from_a_network_that_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", inputs=draw(12, 3).abs().clamp(max=1.0).numpy(), targets=np.arange(12) // 4)
    train = ["train", "--data", "data.npz", "-o", "n.snn", "--hidden", "4", "--steps", "8", "--last", "4"]
    found = CliRunner().invoke(app, [*train, "--epochs", "1", "--limit", "4"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    run = snnconv.load("n.snn").run(draw(1, 3).abs().clamp(max=1.0).float())
    assert run.output.shape == (1, 3)


@pytest.mark.parametrize(("targets", "said"), [(np.zeros(3), "3 targets"), (np.float32(1), "one targets")])
def test_targets_that_are_not_one_a_sample_are_refused_before_a_machine_runs(
    targets: np.ndarray, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hw_export.lava.run", lambda *_, **__: pytest.fail("it ran"))
    np.savez("short.npz", inputs=np.zeros((4, 2), np.float32), targets=targets)
    found = CliRunner().invoke(app, ["run-lava", "n.npz", "--data", "short.npz", "--limit", "2"])
    assert isinstance(found.exception, snnconv.InputError) and f"short.npz: 4 inputs and {said}" in str(found.exception)
