"""Graph networks in window codes: graph convolutional networks on Cora, each trained from five seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from statistics import fmean, stdev
from typing import Any

from torch import Tensor, nn

import snnconv
from benchmarks.codes import CodeSetting
from benchmarks.gcn_network import cora, train_gcn, trained
from benchmarks.peer_imports import import_peer, peer_version
from benchmarks.results import keep, note, publish
from benchmarks.zoo.graph_layers import LAYERS, TwoLayers, edges_of_cora
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
    _measure("graph", "GCN", graph, {"adj": graph.adjacency}, partial(train_gcn, graph), images)


def run_geometric(images: int | None = None) -> None:
    """Publish the table ``graph_geometric``: the same with PyTorch Geometric's ``GCNConv`` as it is, over edges."""
    import_peer("torch_geometric")
    version = peer_version("torch_geometric")
    graph, edges = cora(), edges_of_cora()

    def train(seed: int) -> nn.Module:
        make = partial(TwoLayers, LAYERS["GCNConv"], graph.features.shape[1], graph.classes)
        return trained(make, graph, edges, seed=seed)

    _measure("graph_geometric", f"GCNConv of PyTorch Geometric {version}", graph, {"edge_index": edges}, train, images)


def _measure(
    table_name: str,
    network: str,
    graph: CitationGraph,
    constants: Mapping[str, Tensor],
    train: Callable[..., nn.Module],
    images: int | None,
) -> None:
    targets = graph.targets(graph.test_mask)
    if images is not None:
        targets[graph.test_mask.nonzero()[images:]] = -100
    models = [train(seed=seed) for seed in range(SEEDS)]
    table: list[list[Any]] = []
    title = f"{network} on Cora, {SEEDS} seeds"
    for setting in SETTINGS:
        found = [_measured(model, graph, targets, setting, constants) for model in models]
        table.append(_row(setting, found))
        losses = ", ".join(f"{window.loss or 0.0:.2f}" for window, _ in found)
        note(f"{setting.name}: loss {table[-1][HEAD.index('loss')]}, by seed {losses}")
        keep(table_name, title, HEAD, table)
    publish(table_name, title, HEAD, table)


def _measured(
    model: nn.Module, graph: CitationGraph, targets: Any, setting: CodeSetting, constants: Mapping[str, Tensor]
) -> tuple[snnconv.Evaluation, snnconv.Evaluation]:
    """What the window simulator and the clock find."""
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
