"""The batch comes first, by itself, wherever a model folds it into other axes, as far as that is needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnconv
from snnconv.capture.translation import capture
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import evaluate_graph
from tests.support.pipelines import assert_simulators_agree

X = torch.randn(4, 3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Function = Callable[["FoldingLayers", Tensor], Tensor]


class FoldingLayers(nn.Module):
    """Linear layers around a function of ``[N, 3, 8]``."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.head, self.norm = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2), nn.LayerNorm(8)
        self.conv = nn.Conv1d(3, 3, 3, padding=1)
        self.weight = nn.Parameter(torch.rand(8) + 0.5)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.function(self, self.a(x)))
        return result


def tokens_as_samples(m: FoldingLayers, x: Tensor) -> Tensor:
    return torch.relu(m.b(x.flatten(0, 1)) * m.weight).unflatten(0, (-1, 3))


def batch_second(m: FoldingLayers, x: Tensor) -> Tensor:
    y = F.gelu(m.b(x.transpose(0, 1)) + m.weight)
    return m.norm(torch.cat([y[:2], y[1:]], 0).roll(1, 0)[1:]).transpose(0, 1)


def heads_in_front(m: FoldingLayers, x: Tensor) -> Tensor:
    y = x.view(-1, 3, 2, 4).permute(2, 0, 1, 3).reshape(2 * x.shape[0], 3, 4)
    mixed = (y @ y.transpose(1, 2)).softmax(-1) @ y
    return mixed.view(2, x.shape[0], 3, 4).permute(1, 2, 0, 3).flatten(2)


def pieces(m: FoldingLayers, x: Tensor) -> Tensor:
    one, other = torch.relu(x.reshape(-1, 8)).split(4, -1)
    return (one * other).sum(-1, keepdim=True).expand(-1, 8).view(-1, 3, 8)


def behind_a_convolution(m: FoldingLayers, x: Tensor) -> Tensor:
    return m.norm(m.conv(x).view(-1, 8)).view(-1, 3, 8)


def under_a_convolution(m: FoldingLayers, x: Tensor) -> Tensor:
    rows = x.unsqueeze(2).expand(-1, -1, 3, -1).flatten(0, 1)
    found = F.max_pool1d(torch.relu(m.conv(rows)), 2)[:, torch.tensor([2, 0, 1])]
    return m.norm(found.repeat_interleave(2, 2)).view(-1, 3, 3, 8).sum(2)


FOLDED = {
    each.__name__: each
    for each in (tokens_as_samples, batch_second, heads_in_front, pieces, behind_a_convolution, under_a_convolution)
}


def captured(function: Function) -> tuple[nn.Module, Graph]:
    model = FoldingLayers(function).double().eval()
    return model, capture(model, (X,))


@pytest.mark.parametrize("name", FOLDED)
def test_the_graph_is_the_model_and_its_samples_stay_apart(name: str) -> None:
    model, graph = captured(FOLDED[name])
    for size in (1, 2, 4):
        torch.testing.assert_close(evaluate_graph(graph, (X[:size],))[0], model(X[:size]), rtol=0, atol=1e-12)
    network = snnconv.convert(model, X)
    assert all(len(population.shape) >= 2 for population in network.populations.values())
    assert_simulators_agree(network, X)


def test_affine_maps_alone_stay_as_they_are_written() -> None:
    _, graph = captured(lambda m, x: torch.relu(m.b(x.transpose(0, 1)).transpose(0, 1)))
    assert [node.op for node in graph.nodes.values()] == [
        "linear",
        "transpose",
        "linear",
        "transpose",
        "relu",
        "linear",
    ]
