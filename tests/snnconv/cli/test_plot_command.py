"""snnconv plot: pictures of networks and sweeps."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot
from typer.testing import CliRunner

import snnconv
from coding import FewSpike, Rate
from snnconv.cli.app import app
from tests.support.conversion import converted
from tests.support.networks import GraphConvolution, draw, make, prepared
from tests.support.transformers import transformer

DRAWN = {
    "accuracy": ("time steps", ()),
    "energy": ("energy", ()),
    "verification": ("relative error", ("--limit", "5", "--workers", "1")),
    "intervals": ("steps", ()),
    "spikes": ("time step", ("--sample", "3", "--neurons", "2")),
    "membranes": ("potential", ("--population", "relu_1")),
}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What stands at the axes of all pictures that are written."""
    texts: list[str] = []
    written = snnconv.plots.save_figure  # type: ignore[attr-defined]

    def watched(figure: pyplot.Figure, file: str) -> None:
        for axes in figure.axes:
            texts.extend([axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="right")])
        written(figure, file)

    monkeypatch.setattr("snnconv.plots.save_figure", watched)
    return texts


def picture(*arguments: str) -> bytes:
    found = CliRunner().invoke(app, ["plot", *arguments, "-o", "picture.png"], catch_exceptions=False)
    assert found.exit_code == 0 and found.output.endswith("written: picture.png\n"), found.output
    return Path("picture.png").read_bytes()


@pytest.mark.parametrize("kind", DRAWN)
def test_a_picture_of_a_network_is_drawn(kind: str, folder: Path, drawn: list[str]) -> None:
    converted("plotted", lambda: make("deep", dtype=draw(1).float().dtype), coding=Rate(6)).save("n.snn")
    said, options = DRAWN[kind]
    assert picture(kind, "n.snn", "--data", "samples.npz", *options).startswith(b"\x89PNG")
    assert any(said in text.lower() for text in drawn), drawn


def test_a_map_of_attention_is_drawn(folder: Path, drawn: list[str]) -> None:
    network = converted("attention", lambda: transformer("attention"), coding=FewSpike(8))
    copy.deepcopy(network).float().save("transformer.snn")
    np.save("tokens.npy", transformer("attention")[1][:3].float().numpy())
    assert picture("attention", "transformer.snn", "--data", "tokens.npy", "--sample", "2").startswith(b"\x89PNG")
    assert "query (token)" in drawn
    refused = CliRunner().invoke(
        app, ["plot", "attention", "transformer.snn", "--data", "tokens.npy", "--neurons", "3", "-o", "picture.png"]
    )
    assert isinstance(refused.exception, snnconv.ConfigurationError) and "--neurons" in str(refused.exception)


def test_a_graph_is_drawn_whole(folder: Path) -> None:
    nodes = draw(6, 5).float()
    snnconv.convert(prepared(GraphConvolution).float(), nodes, coding=FewSpike(4, base=1.9)).save("graph.snn")
    np.save("nodes.npy", nodes.numpy())
    arguments = ("spikes", "graph.snn", "--data", "nodes.npy")
    assert picture(*arguments).startswith(b"\x89PNG")
    refused = CliRunner().invoke(app, ["plot", *arguments, "--sample", "3", "-o", "picture.png"])
    assert isinstance(refused.exception, snnconv.InputError) and "takes no batches" in str(refused.exception)


def test_a_picture_of_a_sweep_is_drawn_from_its_folder_and_its_file(folder: Path, drawn: list[str]) -> None:
    model, x = make("perceptron", samples=20)
    Path("out").mkdir()
    codings = {"rate 4": Rate(4), "few-spike 4": FewSpike(4, base=1.9)}
    snnconv.sweep(model, x, (x, model(x).argmax(1)), codings, path="out/sweep.json")
    pictures = {picture("pareto", source, "--cost", "latency") for source in ("out", "out/sweep.json")}
    assert len(pictures) == 1 and any("latency" in text.lower() or "steps" in text.lower() for text in drawn), drawn
    refused = CliRunner().invoke(app, ["plot", "pareto", "out", "--cost", "weight", "-o", "picture.png"])
    assert isinstance(refused.exception, snnconv.ConfigurationError)
