"""The command that makes a report: what it writes, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import snnconv
from coding import FewSpike
from snnconv.cli.app import app
from tests.support.networks import Perceptron, draw, prepared
from tests.support.reports import detectors

REPORT = ("report", "n.snn", "-o", "r.html")


@pytest.fixture
def network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HOME", raising=False)
    snnconv.convert(prepared(Perceptron).float(), draw(40, 6).float(), coding=FewSpike(4)).save("n.snn")
    return folder


def run(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == status, result.output
    return str(result.exception) if status else result.output


def test_a_report_is_written_with_its_sentences_printed(network: Path) -> None:
    (network / "names.txt").write_text("<a>\n<b>\n<c>\n<d>\n")
    reference = ("--reference", "own_model:build", "--weights", "weights.safetensors")
    printed = run(
        *REPORT, "--data", "samples.npz", *reference, "--names", "names.txt", "--batch", "7", "--samples", "1"
    )
    assert printed.startswith("The spiking network is right in") and printed.endswith("written: r.html\n")
    page = (network / "r.html").read_text(encoding="utf-8")
    assert "<h1>n</h1>" in page and re.search("decided to be &lt;[abcd]&gt;", page) and "<a>" not in page
    printed = run(*REPORT)
    assert "no data were given" in printed and "no data were given" in (network / "r.html").read_text()


def test_a_report_is_not_called_what_it_is_not(network: Path) -> None:
    assert "page of HTML; name it r.html" in run("report", "n.snn", "-o", "r.pdf", status=1)
    assert not (network / "r.pdf").exists()


def test_a_sweep_is_shown_beside_it(network: Path) -> None:
    x = draw(40, 6).float()
    snnconv.sweep(prepared(Perceptron).float(), x, x, {"few": FewSpike(3)}, path="sweep.json")
    run(*REPORT, "--sweep", "sweep.json")
    assert 'id="sweep"' in (network / "r.html").read_text()


def test_what_an_export_said_is_shown_beside_it(network: Path) -> None:
    (network / "export.json").write_text('{"ram": 1200, "fidelity": {"integers": {"error": NaN, "samples": 4}}}')
    run(*REPORT, "--export", "export.json")
    page = (network / "r.html").read_text()
    assert 'id="export"' in page and "1,200" in page


def test_a_detector_is_shown_on_pictures(network: Path) -> None:
    _, spiking, pictures = detectors()
    spiking.save("shapes.snn")
    (network / "images").mkdir()
    for position, each in enumerate(pictures):
        each.save(network / "images" / f"{position}.png")
    assert "3 pictures" in run("report", "shapes.snn", "--picture", "images", "-o", "r.html")
    assert 'id="detections"' in (network / "r.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--batch", "0"), "--batch must be at least 1"),
        (("--data", "missing.npz"), "missing.npz"),
        (("--reference", "own_model:build"), "give --data"),
        (("--judge", "no", "--data", "samples.npz"), "unknown judge"),
        (("--sweep", "samples.npz"), "samples.npz"),
        (("--samples", "-1", "--data", "samples.npz"), "samples must be"),
        (("--export", "names.txt"), "names.txt cannot be read: No such file"),
        (("--export", "own_model.py"), "which snnconv export --json writes"),
        (("--detector", "a.cfg,b.weights"), "a.cfg"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(arguments: tuple[str, ...], message: str, network: Path) -> None:
    assert message in run(*REPORT, *arguments, status=1)
    assert not (network / "r.html").exists()


def test_what_cannot_be_written_is_found_before_the_work(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (network / "there.html").mkdir()
    monkeypatch.setattr(snnconv, "load", lambda _: pytest.fail("it was too late"))
    assert "no regular file" in run("report", "n.snn", "-o", "there.html", status=1)
    assert "cannot be written" in run("report", "n.snn", "-o", "no/such/r.html", status=1)
