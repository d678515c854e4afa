"""Graph layers over an edge list, as PyTorch Geometric's are traced: pick senders, weigh, add up at receivers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian

import snnconv
from coding import FewSpike
from snnconv import SpikingNetwork, UnsupportedModelError

NODES, FEATURES, HIDDEN, CLASSES = 12, 5, 6, 3
EDGES = torch.unique(torch.randint(0, NODES, (2, 30), generator=torch.Generator().manual_seed(0)), dim=1)
X = torch.randn(NODES, FEATURES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
GRAPHS = torch.arange(NODES) // 5
Layer = Callable[[Tensor, Tensor], Tensor]


def added_up(messages: Tensor, receivers: Tensor) -> Tensor:
    places = receivers.view(-1, 1).expand_as(messages)
    return messages.new_zeros(NODES, messages.shape[1]).scatter_add_(0, places, messages)


def as_sum(h: Tensor, edges: Tensor) -> Tensor:
    return added_up(h.index_select(0, edges[0]), edges[1])


def as_mean(h: Tensor, edges: Tensor) -> Tensor:
    count = h.new_zeros(NODES).scatter_add_(0, edges[1], h.new_ones(edges.shape[1])).clamp(min=1)
    return as_sum(h, edges) / count.view(-1, 1).expand_as(h) + 0.5 * h


def as_isomorphism(h: Tensor, edges: Tensor) -> Tensor:
    return as_sum(h, edges) + (1 + 0.25) * h


def normalised(h: Tensor, edges: Tensor) -> Tensor:
    """GCN: the loops that the edges hold are replaced by one for every node."""
    kept, loops = edges[:, edges[0] != edges[1]], torch.arange(NODES).view(1, -1).repeat(2, 1)
    senders, receivers = torch.cat([kept, loops], 1)
    ones = h.new_ones(senders.shape[0])
    root = h.new_zeros(NODES).scatter_add_(0, receivers, ones).pow_(-0.5)
    root = root.masked_fill_(root == float("inf"), 0)
    weights = root[senders] * ones * root[receivers]
    return added_up(weights.view(-1, 1) * h.index_select(0, senders), receivers)


def three_hops(h: Tensor, edges: Tensor) -> Tensor:
    once = as_sum(h, edges)
    return h + 0.5 * once + 0.25 * as_sum(as_sum(once, edges), edges)


def by_index(h: Tensor, edges: Tensor) -> Tensor:
    return torch.zeros_like(h).index_add(0, edges[1], h[edges[0]])


LAYERS: dict[str, Layer] = {
    "sum": as_sum,
    "mean": as_mean,
    "isomorphism": as_isomorphism,
    "normalised": normalised,
    "three hops": three_hops,
    "by index": by_index,
}


class GraphNetwork(nn.Module):
    """Two layers over ``edges``, an argument or a buffer; with ``graphs`` the result is added up graph by graph."""

    own: Tensor | None
    graphs: Tensor | None

    def __init__(self, layer: Layer, edges: Tensor | None = None, graphs: Tensor | None = None) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("own", edges)
        self.register_buffer("graphs", graphs)
        self.first, self.last = nn.Linear(FEATURES, HIDDEN), nn.Linear(HIDDEN, CLASSES)

    def behind(self, hidden: Tensor, edges: Tensor) -> Tensor:
        nodes = self.layer(self.last(hidden), edges)
        if self.graphs is None:
            return nodes
        return nodes.new_zeros(3, CLASSES).scatter_add(0, self.graphs.view(-1, 1).expand_as(nodes), nodes)

    def forward(self, x: Tensor, edges: Tensor | None = None) -> Tensor:
        edges = self.own if edges is None else edges
        assert edges is not None
        return self.behind(torch.relu(self.layer(self.first(x), edges)), edges)


@functools.cache
def converted(kind: str, held: str) -> tuple[GraphNetwork, SpikingNetwork]:
    torch.manual_seed(0)
    buffer, graphs = EDGES if held == "buffer" else None, GRAPHS if held == "graphs" else None
    model = GraphNetwork(LAYERS[kind], buffer, graphs).double().eval()
    constants = None if held == "buffer" else {"edges": EDGES}
    return model, snnconv.convert(model, X, coding=FewSpike(12, spikes=6), percentile=100, constants=constants)


CASES = [(kind, "argument") for kind in LAYERS] + [("normalised", "buffer"), ("mean", "graphs")]


@pytest.mark.parametrize(("kind", "held"), CASES)
def test_a_layer_over_constant_edges_converts(kind: str, held: str) -> None:
    model, network = converted(kind, held)
    with torch.no_grad():
        wanted = model(X, EDGES)
    assert list(network.graph.inputs) == ["x"] and network.batch_axis is None
    assert torch.allclose(network.reference(X), wanted, rtol=1e-10)
    assert float((network(X) - wanted).norm() / wanted.norm()) < 0.03


@pytest.mark.parametrize(("kind", "held"), CASES)
def test_a_spike_of_a_node_arrives_where_the_jacobian_says(kind: str, held: str) -> None:
    model, network = converted(kind, held)
    hidden = X.new_zeros(NODES, HIDDEN)
    matrix = jacobian(lambda hidden: model.behind(hidden, EDGES), hidden)  # type: ignore[no-untyped-call]
    assert network.synapses.bounds == ()
    assert torch.equal(network.synapses.fan_out["relu"], matrix.ne(0).flatten(0, 1).sum(0).double())


def test_a_stored_network_keeps_its_edges(tmp_path: Path) -> None:
    _, network = converted("normalised", "argument")
    network.save(tmp_path / "graph.snn")
    loaded = snnconv.load(tmp_path / "graph.snn")
    assert torch.equal(loaded(X), network(X))
    assert loaded.synapses.macs == network.synapses.macs


def attention(h: Tensor, edges: Tensor) -> Tensor:
    senders, receivers = edges
    scores = (h[senders] * h[receivers]).sum(1)
    largest = scores.new_zeros(NODES).scatter_reduce(0, receivers, scores, "amax")
    shares = (scores - largest[receivers]).exp()
    total = scores.new_zeros(NODES).scatter_add(0, receivers, shares)
    return added_up((shares / total[receivers]).view(-1, 1) * h[senders], receivers)


def test_attention_over_neighbours_is_refused_and_says_why() -> None:
    with pytest.raises(UnsupportedModelError, match=r"softmax over neighbours.*products of signals.*GCNConv"):
        snnconv.convert(GraphNetwork(attention).double(), X, constants={"edges": EDGES})
