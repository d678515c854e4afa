"""Options that a command has no use for as it was called: they are refused by name, before anything is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import snnconv
from snnconv.cli.app import add_commands_of_others, app
from snnconv.sweeps.estimating import SweepEstimate
from tests.support.networks import Perceptron, draw

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
    *(
        (REPORT, option)
        for option in (("--samples", "2"), ("--names", "n.txt"), ("--simulator", "clock"), ("--steps", "4"))
    ),
    (("export", "no.snn", "-o", "n.npz"), ("--limit", "3")),
    (("export", "no.snn", "-o", "n.npz"), ("--allow-loss", "3")),
    *((("tune", "no.snn", "--data", "no.npz", "-o", "t.snn"), ("--ignore-index", index)) for index in ("255", "-100")),
    (("preflight", "own_model:build", "--shape", "6"), ("--trust",)),
    (TRAIN_DETECTOR, ("--letterbox",)),
    (("detect", "a.png"), ("--samples", "3")),
    *((command, ("--layout", "voc")) for command in (("evaluate-detector",), TRAIN_DETECTOR)),
    *((command, ("--split", "val")) for command in (("evaluate-detector",), TRAIN_DETECTOR)),
    *((command, ("--annotations", "a.json")) for command in (("evaluate-detector",), TRAIN_DETECTOR)),
    (TRAIN_DETECTOR, ("--names", "names.txt")),
    ((*TRAIN_DETECTOR, "--config", "net.cfg", "--data", "images", "--layout", "coco"), ("--names", "names.txt")),
    ((*TRAIN_DETECTOR, "--config", "net.cfg", "--data", "images"), ("--split", "trainval")),
    ((*TRAIN_DETECTOR, "--config", "net.cfg", "--data", "images", "--layout", "voc"), ("--annotations", "a.json")),
]


def invoke(*arguments: str) -> None:
    found = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert found.exit_code == 0, found.output


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


def test_an_index_that_no_target_can_have_is_refused(folder: Path) -> None:
    with np.load("samples.npz") as archive:
        inputs, values = archive["inputs"], archive["targets"] + np.float32(0.5)
    np.savez("unlabelled.npz", inputs=inputs)
    np.savez("values.npz", inputs=inputs, targets=values)
    sweep = ("sweep", "own_model:perceptron", "--calibration", "samples.npz", "-o", "out", "--steps", "4")
    invoke("convert", "own_model:perceptron", "--calibration", "samples.npz", "-o", "n.snn")
    for command in (("evaluate", "n.snn"), ("report", "n.snn", "-o", "r.html"), sweep):
        for data in ("unlabelled.npz", "values.npz"):
            found = CliRunner().invoke(app, [*command, "--data", data, "--ignore-index", "1"])
            assert isinstance(found.exception, snnconv.ConfigurationError), found.output
            assert str(found.exception).startswith(f"--ignore-index: leaves out integer targets, and {data} holds none")
    invoke("evaluate", "n.snn", "--data", "samples.npz", "--ignore-index", "1", "--json", "f.json")
    targets = np.load("samples.npz")["targets"]
    assert json.loads(Path("f.json").read_text())["judged"] == int((targets != 1).sum()) < len(targets)


def test_without_targets_a_judge_says_what_is_compared_with_the_original(folder: Path) -> None:
    invoke("convert", "own_model:perceptron", "--calibration", "samples.npz", "-o", "n.snn")
    for judge, figure in (("class", "agreement"), ("label", "agreement"), ("value", "deviation")):
        invoke("evaluate", "n.snn", "--data", "samples.npy", "--judge", judge, "--json", "f.json")
        figures = json.loads(Path("f.json").read_text())
        assert figures[figure] is not None
        assert (figures["deviation"] is None) is (figure != "deviation")


def test_the_size_of_batches_is_refused_where_there_are_none(folder: Path) -> None:
    x = torch.from_numpy(np.load("samples.npy"))[:1]
    np.save("one.npy", x.numpy())
    torch.export.save(torch.export.export(Perceptron().eval(), (x,)), "fixed.pt2")
    invoke("convert", "fixed.pt2", "--trust", "--calibration", "one.npy", "-o", "n.snn")
    assert snnconv.load("n.snn").batch_axis is None
    sweep = ("sweep", "fixed.pt2", "--trust", "--calibration", "one.npy", "-o", "out", "--steps", "4")
    for command in (("evaluate", "n.snn"), ("verify", "n.snn"), ("report", "n.snn", "-o", "r.html"), sweep):
        found = CliRunner().invoke(app, [*command, "--data", "samples.npy", "--batch", "7"])
        assert isinstance(found.exception, snnconv.ConfigurationError), found.output
        assert str(found.exception).startswith("--batch: the model fixes its first axis")


def test_an_estimate_counts_the_workers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def estimated(*_: object, workers: object, **options: object) -> SweepEstimate:
        asked.append(workers)
        return SweepEstimate({}, 0, 1.0)

    monkeypatch.setattr(snnconv, "estimate_sweep", estimated)
    sweep = ("sweep", "own_model:perceptron", "--calibration", "samples.npz", "--data", "samples.npz", "-o", "out")
    invoke(*sweep, "--estimate", "--workers", "2")
    invoke(*sweep, "--estimate")
    assert asked == [2, None]


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
