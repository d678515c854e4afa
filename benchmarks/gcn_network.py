"""The two-layer graph convolutional network of Kipf and Welling (2017), and a seeded trainer.

``FC16 - adjacency - ReLU - FC7 - adjacency`` on Cora, with dropout 0.5 before both layers. It is written as one
writes it in plain torch, the adjacency an argument of ``forward``, so that converting it takes
``constants={"adj": graph.adjacency}``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.datasets import data_file
from snnconv.data import CitationGraph, load_planetoid

N = TypeVar("N", bound=nn.Module)


class GCN(nn.Module):
    """Features ``[nodes, features]`` and a normalised adjacency to logits ``[nodes, classes]``."""

    def __init__(self, features: int, classes: int, hidden: int = 16, dropout: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Linear(features, hidden, bias=False)
        self.second = nn.Linear(hidden, classes, bias=False)
        self.first_bias = nn.Parameter(torch.zeros(hidden))
        self.second_bias = nn.Parameter(torch.zeros(classes))
        self.dropout = dropout
        for layer in (self.first, self.second):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        x = F.dropout(x, self.dropout, self.training)
        x = F.relu(torch.sparse.mm(adj, self.first(x)) + self.first_bias)
        x = F.dropout(x, self.dropout, self.training)
        logits: Tensor = torch.sparse.mm(adj, self.second(x)) + self.second_bias
        return logits


def cora() -> CitationGraph:
    """Cora with the features of each paper normalised, from ``cora.npz`` in ``SNNCONV_DATA``."""
    return load_planetoid(data_file("cora.npz"))


def train_gcn(
    graph: CitationGraph,
    *,
    seed: int = 0,
    epochs: int = 200,
    hidden: int = 16,
    learning_rate: float = 0.01,
    weight_decay: float = 5e-4,
) -> GCN:
    """Train ``GCN`` as ``trained`` does, with ``hidden`` units."""
    return trained(
        lambda: GCN(graph.features.shape[1], graph.classes, hidden),
        graph,
        graph.adjacency,
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
    )


def trained(
    make: Callable[[], N],
    graph: CitationGraph,
    edges: Tensor,
    *,
    seed: int = 0,
    epochs: int = 200,
    learning_rate: float = 0.01,
    weight_decay: float = 5e-4,
) -> N:
    """What ``make`` makes, trained by Adam on the training nodes; returned in evaluation mode.

    Args:
        make: Makes a network of the layers ``first`` and ``second``.
        graph: The nodes.
        edges: What the network takes beside their features.
        seed: of the weights and the dropout. The global generator is left as it was.
        epochs: Steps of the training.
        learning_rate: of Adam.
        weight_decay: of the first layer.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make().train()
        parameters = [*network.named_parameters()]
        first: dict[str, Any] = {"params": [each for name, each in parameters if name.startswith("first")]}
        second: dict[str, Any] = {"params": [each for name, each in parameters if name.startswith("second")]}
        optimizer = torch.optim.Adam([{**first, "weight_decay": weight_decay}, second], lr=learning_rate)
        targets = graph.targets(graph.train_mask)
        for _ in range(epochs):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(graph.features, edges), targets)  # leaves out targets of -100
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return network.eval()
