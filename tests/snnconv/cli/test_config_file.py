"""Options of a sweep in a TOML file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import snnconv
from snnconv.cli.app import app
from snnconv.cli.config_file import read_options

SWEEP = """
model = "own_model:perceptron"
calibration = "samples.npz"
data = "samples.npz"
output = "out"
codes = ["rate", "phase"]
steps = [2, 3]
batch = 20
bias_correction = false
percentile = 100
analog = []
"""


def swept(*arguments: str) -> list[str]:
    """The labels of what is in the sweep's file after a run with a configuration and further ``arguments``."""
    found = CliRunner().invoke(app, ["sweep", "--config", "sweep.toml", *arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return [result.label for result in snnconv.Sweep.load("out/sweep.json").results]


@pytest.fixture(autouse=True)
def drawn_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snnconv.Sweep, "plot", lambda *_: None)  # which takes the longest


def test_a_sweep_has_its_options_from_a_file_and_the_command_line_wins(folder: Path) -> None:
    Path("sweep.toml").write_text(SWEEP)
    assert swept() == ["rate 2", "rate 3", "phase 2", "phase 3"]
    common = json.loads(Path("out/sweep.json").read_text())["common"]["set of options"]
    assert "bias_correction=False" in common and "percentile=100.0" in common
    Path("out/sweep.json").unlink()
    assert swept("--codes", "rate", "--steps", "4") == ["rate 4"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("step = 4", "sweep.toml: there is no option step; did you mean steps?"),
        ("bias_corection = true", "did you mean bias-correction?"),
        ("zzz = 1", "there is no option zzz; there are analog, "),
        ("config = 'other.toml'", "there is no option config"),
        ("trust = true", "a file cannot say that its own model may run code here: give --trust with the command"),
        ("batch = true", "sweep.toml: batch is no flag, and takes a value"),
        ("bias-correction = 1", "sweep.toml: bias-correction is true or false"),
        ("[batch]\nsize = 3", "batch must be text, a number, true or false, or a list of such"),
        ("bias-correction = true\nbias_correction = false", "bias-correction is given twice, with a dash and with"),
        ('model = ["a:b", "c:d"]', "sweep.toml: model takes one value, and no list"),
        ("percentile = [99, 100]", "sweep.toml: percentile takes one value, and no list"),
        ("steps = [[4]]", "steps must be text"),
        ("steps = []", "steps must be text"),
        ("steps = [4, ", "sweep.toml is no TOML: "),
    ],
)
def test_a_mistake_in_the_file_is_named_with_the_file(text: str, reason: str, folder: Path) -> None:
    Path("sweep.toml").write_text(text)
    found = CliRunner().invoke(app, ["sweep", "--config", "sweep.toml"])
    assert isinstance(found.exception, snnconv.ConfigurationError) and reason in str(found.exception)
    assert not Path("out").exists()


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(snnconv.ConfigurationError, match=r"missing.toml cannot be read: No such file"):
        read_options(tmp_path / "missing.toml", {})
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(snnconv.ConfigurationError, match=r"bytes.toml is no TOML: "):
        read_options(tmp_path / "bytes.toml", {})


def test_values_are_what_a_command_line_would_have(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("steps = [4, 8]\nanalog = ['head', 'tail']\nmax_loss = 0.5\nestimate = true\n")
    known: dict[str, Any] = {"steps": "separated", "analog": "repeated", "max-loss": "once", "estimate": "once"}
    assert read_options(tmp_path / "a.toml", known) == {
        "steps": "4,8",
        "analog": ["head", "tail"],
        "max-loss": "0.5",
        "estimate": True,
    }
