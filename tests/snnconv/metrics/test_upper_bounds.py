"""Synaptic operations that are an upper bound, and energies with them, say so wherever they are shown: "at most"."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import snnconv
from coding import FewSpike, Rate
from snnconv import plots
from snnconv.cli.app import add_commands_of_others, app
from snnconv.spiking.logs import Trial
from tests.support.drawn import Swept, evaluation


@pytest.fixture
def unknown_fan_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fan-out is counted by paths alone, so that where they meet it is an upper bound."""
    monkeypatch.setattr(snnconv.spiking.synapses, "PROBE_LIMIT", 0)
    monkeypatch.setattr(snnconv.graph.reach, "PRODUCT_LIMIT", 0)


class TwoPaths(nn.Module):
    """Two layers from the same neurons to the same neurons, which are one synapse each."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.left, self.right, self.last = (nn.Linear(6, 6) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        scores: torch.Tensor = self.last(torch.relu(self.left(x) + self.right(x)))
        return scores


def samples() -> torch.Tensor:
    return torch.rand(80, 6, generator=torch.Generator().manual_seed(0))


def test_what_is_measured_of_a_network_without_exact_fan_out_is_a_bound(unknown_fan_out: None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = TwoPaths().eval(), samples()
    network = snnconv.convert(model, x, coding=Rate(8))
    found = snnconv.evaluate(network, x)
    assert found.synops_are_bound and network.run(x[:2]).synops_are_bound
    operations, e2, e3, *_ = [line for line in str(found).splitlines() if line.startswith(("synaptic", "energy E"))]
    assert f"per sample: at most {found.synops:.4g}, " in operations
    assert f"layer by layer {found.synops_by_layer:.4g}" in operations  # which is exact
    assert f": at most {found.energy.e2:.3g} J, original {found.energy.e2_reference:.3g} J" in e2
    assert f": at most {found.energy.e3:.3g} J, original {found.energy.e3_reference:.3g} J" in e3
    assert found.costs_by_population().columns[-1].head == "SynOps, at most"
    assert "mean fan-out, at most" in network.report() and "its fan-out and synaptic operations" in network.report()
    assert "Effective_ACs, at most" in str(snnconv.neurobench(network, x).to_table())
    file = tmp_path / "sweep.json"
    snnconv.sweep(model, x, (x, model(x).argmax(1)), {"few-spike": FewSpike(4)}, path=file)
    assert [each.synops_are_bound for each in snnconv.Sweep.load(file).results] == [True]
    found_by_search = snnconv.convert(model, x, coding="auto", max_loss=50.0).search_log
    assert found_by_search is not None and "E3, at most (uJ)" in str(found_by_search)
    assert all(trial.synops_are_bound for trial in found_by_search.trials)


def test_what_is_exact_is_no_bound() -> None:
    torch.manual_seed(0)
    model, x = TwoPaths().eval(), samples()
    network = snnconv.convert(model, x, coding=Rate(8))
    shown = [snnconv.evaluate(network, x), snnconv.neurobench(network, x), network.report()]
    assert not any("at most" in str(each) for each in shown) and not network.run(x[:2]).synops_are_bound


def sweep(bound: bool | None) -> snnconv.Sweep:
    first, *others = Swept(4).results
    return snnconv.Sweep((replace(first, synops_are_bound=bound), *others))


def test_a_sweep_says_so_in_its_table_and_its_pictures() -> None:
    told, exact, unknown = (sweep(bound) for bound in (True, False, None))  # unknown in an older file
    heads = ["SynOps, at most", "E2, at most (J)", "E3, at most (J)"]
    assert [column.head for column in told.to_table().columns][-4:-1] == heads
    assert json.loads(json.dumps(told.to_dict()))["results"][0]["synops_are_bound"] is True
    for other in (exact, unknown):
        assert "at most" not in str(other)
    name = "energy of a sample (model E3)"
    assert [axes.get_xlabel() for axes in told.plot()][-1] == plots.pareto(told, "energy").get_xlabel()
    assert plots.pareto(told, "energy").get_xlabel() == f"{name}, at most"
    assert plots.pareto(told, "spikes").get_xlabel() == "spikes per neuron"
    assert plots.pareto(exact, "energy").get_xlabel() == name


def test_a_search_says_so() -> None:
    exact, bound = (snnconv.SearchLog((Trial("rate", 1.0, 2.0, 3, 4e-6, each),), 0) for each in (False, True))
    assert "E3, at most (uJ)" in str(bound) and "at most" not in str(exact)


def test_bars_of_energy_say_so_within_the_picture() -> None:
    exact = evaluation()
    axes = plots.energy({"a": exact, "b": replace(exact, synops_are_bound=True)})
    assert [text.get_text().startswith("at most ") for text in axes.texts] == [False, False, True]
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    assert axes.texts[-1].get_window_extent().x1 <= axes.figure.bbox.x1


def test_a_run_on_lava_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_commands_of_others()
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", inputs=np.zeros((2, 3), np.float32))
    for bound in (False, True):
        run: Any = SimpleNamespace(
            samples=2, steps=torch.tensor([4]), spikes_per_neuron=1.5, synops={"a": 8.0}, synops_are_bound=bound
        )
        run.output = None
        monkeypatch.setattr("hw_export.commands.run_lava.lava.run", lambda *_, run=run, **__: run)
        printed = CliRunner().invoke(app, ["run-lava", "n.npz", "--data", "x.npz", "--json", "f.json"])
        assert printed.exit_code == 0, printed.output
        assert f"operations per sample: {'at most ' if bound else ''}4\n" in printed.output
        assert json.loads(Path("f.json").read_text())["synops_are_bound"] is bound
