"""Recurrent layers are unrolled into their steps: the graph is the layer, and gates are tables and products."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import FunctionTable
from snnconv.capture.capturing import captured
from snnconv.graph.interpreter import evaluate_graph
from tests.support.pipelines import assert_simulators_agree


class Layer(nn.Module):
    """A recurrent layer over sequences ``[samples, steps, 3]``, and a linear layer on its last outputs and states."""

    def __init__(self, make: Callable[..., nn.Module], **options: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.recurrent = make(3, 4, batch_first=True, **options)
        sizes = [tensor.shape[-1] for tensor in _leaves(self.recurrent(torch.zeros(1, 2, 3)))]
        self.last = nn.Linear(sum(sizes), 3)

    def forward(self, x: Tensor) -> Tensor:
        said, *kept = _leaves(self.recurrent(x))
        result: Tensor = self.last(torch.cat([said[:, -1], *(state[-1] for state in kept)], 1))
        return result


class Cell(nn.Module):
    """A cell, called once for each of three steps, and a linear layer."""

    def __init__(self, make: Callable[..., nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.last = make(3, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        result: Tensor = self.last(state[0] if isinstance(state, tuple) else state)
        return result


def _leaves(found: tuple[Tensor, Tensor | tuple[Tensor, Tensor]]) -> list[Tensor]:
    said, kept = found
    return [said, *(kept if isinstance(kept, tuple) else (kept,))]


MODELS: dict[str, Callable[[], nn.Module]] = {
    "LSTM": partial(Layer, nn.LSTM),
    "LSTM both ways": partial(Layer, nn.LSTM, bidirectional=True),
    "LSTM of two layers without biases": partial(Layer, nn.LSTM, num_layers=2, bias=False),
    "LSTM with a projection": partial(Layer, nn.LSTM, proj_size=2),
    "LSTM with a projection and no biases": partial(Layer, nn.LSTM, proj_size=2, bias=False),
    "GRU": partial(Layer, nn.GRU),
    "GRU without biases": partial(Layer, nn.GRU, bias=False),
    "RNN": partial(Layer, nn.RNN),
    "RNN of two layers both ways": partial(Layer, nn.RNN, num_layers=2, bidirectional=True),
    "RNN with ReLU": partial(Layer, nn.RNN, nonlinearity="relu", num_layers=2),
    "LSTM cell": partial(Cell, nn.LSTMCell),
    "GRU cell": partial(Cell, nn.GRUCell),
    "RNN cell": partial(Cell, nn.RNNCell),
}


def sequences(steps: int, samples: int) -> Tensor:
    return torch.randn(samples, steps, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")
@pytest.mark.parametrize("name", MODELS)
def test_the_graph_is_the_layer(name: str) -> None:
    model, x = MODELS[name]().double().eval(), sequences(2, 5)
    found = captured(model, (x[:2],))
    with torch.no_grad():
        torch.testing.assert_close(evaluate_graph(found.graph, (x,))[0], model(x))


@pytest.mark.parametrize(("kind", "most"), [(nn.LSTM, 0.02), (nn.GRU, 0.02), (nn.RNN, 0.03)])
def test_gates_are_tables_and_products(kind: Callable[..., nn.Module], most: float) -> None:
    model, x = Layer(kind).double().eval(), sequences(4, 96)
    network = snnconv.convert(model, x, coding=FunctionTable(19, 2))
    with torch.no_grad():
        expected = model(x)
    assert float((network(x) - expected).norm() / expected.norm()) < most
    assert_simulators_agree(network, x[:3])
