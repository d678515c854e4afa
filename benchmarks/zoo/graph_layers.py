"""Layers of PyTorch Geometric in networks of two, on the citation graph Cora, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gcn_network import cora
from benchmarks.peer_imports import import_peer
from benchmarks.zoo.subjects import Built, Subject

HIDDEN = 16
_Make = Callable[[Any, int, int], nn.Module]
LAYERS: dict[str, _Make] = {
    "GCNConv": lambda layers, before, after: layers.GCNConv(before, after),
    "SAGEConv": lambda layers, before, after: layers.SAGEConv(before, after),
    "GINConv": lambda layers, before, after: layers.GINConv(
        nn.Sequential(nn.Linear(before, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, after))
    ),
    "GraphConv": lambda layers, before, after: layers.GraphConv(before, after),
    "TAGConv": lambda layers, before, after: layers.TAGConv(before, after),
    "ChebConv": lambda layers, before, after: layers.ChebConv(before, after, K=2),
    "SGConv": lambda layers, before, after: layers.SGConv(before, after),
    "LEConv": lambda layers, before, after: layers.LEConv(before, after),
    "ClusterGCNConv": lambda layers, before, after: layers.ClusterGCNConv(before, after),
    "ARMAConv": lambda layers, before, after: layers.ARMAConv(before, after),
    "GATConv": lambda layers, before, after: layers.GATConv(before, after),
}


class TwoLayers(nn.Module):
    """Dropout, a layer, ReLU, dropout, a layer: class scores of every node."""

    def __init__(self, make: _Make, features: int, classes: int) -> None:
        super().__init__()
        layers = import_peer("torch_geometric.nn")
        self.first, self.second = make(layers, features, HIDDEN), make(layers, HIDDEN, classes)

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        """Scores ``[nodes, classes]`` from features ``[nodes, features]`` and edges ``[2, edges]``."""
        hidden = torch.relu(self.first(F.dropout(features, training=self.training), edge_index))
        scores: Tensor = self.second(F.dropout(hidden, training=self.training), edge_index)
        return scores


def edges_of_cora() -> Tensor:
    """The edges of Cora, ``[2, edges]``, each in both directions."""
    edges = cora().adjacency.coalesce().indices()
    return edges[:, edges[0] != edges[1]].contiguous()


def _built(make: _Make) -> Built:
    graph = cora()
    model = TwoLayers(make, graph.features.shape[1], graph.classes).eval()
    return Built(model, graph.features, graph.features, {"edge_index": edges_of_cora()})


def subjects() -> list[Subject]:
    """One network a layer."""
    import_peer("torch_geometric")
    return [Subject("torch_geometric", name, partial(_built, make)) for name, make in LAYERS.items()]
