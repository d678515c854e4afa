"""Graph networks in window codes: a graph convolutional network on Cora, trained from five seeds."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any

import snnconv
from benchmarks.codes import CodeSetting
from benchmarks.gcn_network import GCN, cora, train_gcn
from benchmarks.results import keep, note, publish
from coding import FewSpike, OneSpike, Pipeline, Rate
from snnconv.data import CitationGraph

SEEDS = 5
SETTINGS = (
    CodeSetting("OneSpike T=16", OneSpike(16)),
    CodeSetting("OneSpike T=24", OneSpike(24)),
    CodeSetting("FewSpike T=6 k=3", FewSpike(6, spikes=3)),
    CodeSetting("Rate T=16", Rate(16), schedule=Pipeline()),
)
HEAD = (
    "code",
    "seeds",
    "test nodes",
    "latency",
    "ANN %",
    "SNN %",
    "loss",
    "of loss, deviation",
    "largest loss",
    "agreement %",
    "spikes per neuron",
    "clock: accuracy",
    "clock: spikes",
)


def run(images: int | None = None) -> None:
    """Publish the table ``graph``: means over seeds; ``images`` limits the test nodes.

    The clock's differences are the largest of all seeds, either way.
    """
    graph = cora()
    targets = graph.targets(graph.test_mask)
    if images is not None:
        targets[graph.test_mask.nonzero()[images:]] = -100
    models = [train_gcn(graph, seed=seed) for seed in range(SEEDS)]
    table: list[list[Any]] = []
    title = f"GCN on Cora, {SEEDS} seeds"
    for setting in SETTINGS:
        found = [_measured(model, graph, targets, setting) for model in models]
        table.append(_row(setting, found))
        note(f"{setting.name}: loss {table[-1][HEAD.index('loss')]}")
        keep("graph", title, HEAD, table)
    publish("graph", title, HEAD, table)


def _measured(
    model: GCN, graph: CitationGraph, targets: Any, setting: CodeSetting
) -> tuple[snnconv.Evaluation, snnconv.Evaluation]:
    """What the window simulator and the clock find."""
    constants = {"adj": graph.adjacency}
    network = snnconv.convert(
        model, graph.features, coding=setting.code, schedule=setting.schedule, constants=constants
    )
    window, clock = (
        snnconv.evaluate(network, (graph.features, targets), reference=model, simulator=name, constants=constants)
        for name in ("window", "clock")
    )
    return window, clock


def _row(setting: CodeSetting, found: list[tuple[snnconv.Evaluation, snnconv.Evaluation]]) -> list[Any]:
    windows = [window for window, _ in found]
    losses = [window.loss or 0.0 for window in windows]
    return [
        setting.name,
        len(found),
        windows[0].judged,
        windows[0].steps,
        round(fmean(window.reference_accuracy or 0.0 for window in windows), 2),
        round(fmean(window.accuracy or 0.0 for window in windows), 2),
        round(fmean(losses), 2),
        round(stdev(losses), 2),
        round(max(losses), 2),
        round(fmean(window.agreement or 0.0 for window in windows), 2),
        round(fmean(window.spikes_per_neuron for window in windows), 3),
        max(((clock.accuracy or 0.0) - (window.accuracy or 0.0) for window, clock in found), key=abs),
        max((clock.spikes_per_neuron - window.spikes_per_neuron for window, clock in found), key=abs),
    ]
