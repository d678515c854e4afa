"""A loop over the samples of a batch is refused; one over the parts of a sample, along the first axis, is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import FewSpike
from snnconv.capture.problems import UnsupportedModelError

X = torch.rand(16, 8, generator=torch.Generator().manual_seed(0))


class Loop(nn.Module):
    def __init__(self, function: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.body = function, nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.body, x)


LOOPS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "select": lambda body, x: torch.stack([body(x[place]) for place in range(x.shape[0])]),
    "slice": lambda body, x: torch.cat([body(x[place : place + 1]) for place in range(len(x))]),
    "unbind": lambda body, x: torch.stack([body(row) for row in x.unbind(0)]),
    "behind a layer": lambda body, x: torch.stack([body[2](row) for row in torch.relu(body[0](x))]),
}


@pytest.mark.parametrize("samples", [1, 16])
@pytest.mark.parametrize("kind", LOOPS)
def test_a_loop_over_the_batch_is_refused_with_its_line(kind: str, samples: int) -> None:
    model = Loop(LOOPS[kind])
    (problem,) = snnconv.preflight(model, X[:samples]).problems
    assert "sample by sample" in problem.reason and "whole batch at once" in problem.remedy
    assert problem.source.file == __file__
    with pytest.raises(UnsupportedModelError, match="fixes the size of the batch"):
        snnconv.convert(model, X[:samples])


class Recurrence(nn.Module):
    """A recurrence over the first axis: one call is one sequence."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell = nn.RNNCell(8, 6, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        hidden = x.new_zeros(1, 6)
        states = []
        for row in x:
            hidden = torch.relu(self.cell.weight_ih @ row + hidden @ self.cell.weight_hh.t() + self.cell.bias_ih)
            states.append(hidden[0])
        return torch.stack(states)


def test_a_recurrence_along_the_first_axis_is_one_sample_of_vectors(caplog: pytest.LogCaptureFixture) -> None:
    model, sequences = Recurrence(), [*torch.rand(30, 4, 8, generator=torch.Generator().manual_seed(1))]
    network = snnconv.convert(model, sequences, coding=FewSpike(12, spikes=6))
    assert network.batch_axis is None and "one call is one sample" in caplog.text
    with torch.no_grad():
        expected = model(sequences[0])
    assert float((network(sequences[0]) - expected).norm() / expected.norm()) < 0.02


class Folded(nn.Module):
    """A body that is called on every step of a sequence: by way of the batch axis, or step by step."""

    def __init__(self, body: nn.Module, function: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.body = function, body

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.body, x)


def linear_body() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3), nn.ReLU())


def convolving_body() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv1d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3), nn.ReLU()
    return nn.Sequential(nn.Unflatten(-1, (1, 8)), *layers)


def pooling_body() -> nn.Module:
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(2)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    layers = nn.Conv1d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2), norm, nn.Conv1d(2, 2, 1), nn.ReLU()
    return nn.Sequential(nn.Unflatten(-1, (1, 8)), *layers, nn.AvgPool1d(2), nn.Flatten(), nn.Linear(4, 3)).eval()


def enlarging_body() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Unflatten(-1, (1, 8)),
        nn.Upsample(scale_factor=2),
        *convolving_body()[1:3],
        nn.Flatten(),
        nn.Linear(28, 3),
        nn.ReLU(),
    )


FOLDS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "flatten": lambda body, x: body(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(1),
    "view": lambda body, x: body(x.view(-1, 8)).view(-1, 4, 3).mean(1),
    "reshape": lambda body, x: body(x.reshape(x.shape[0] * x.shape[1], 8)).reshape(x.shape[0], x.shape[1], 3).mean(1),
}
X = torch.rand(20, 4, 8, generator=torch.Generator().manual_seed(2))


def by_steps(body: nn.Module, x: Tensor) -> Tensor:
    return torch.stack([body(x[:, t]) for t in range(x.shape[1])], 1).mean(1)


def error(network: snnconv.SpikingNetwork, model: nn.Module) -> float:
    with torch.no_grad():
        expected = model(X)
    return float((network(X) - expected).norm() / expected.norm())


BODIES = {"linear": linear_body, "convolution": convolving_body, "pooling": pooling_body}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("kind", FOLDS)
def test_time_folded_into_the_batch_has_an_axis_of_its_own_where_layers_allow_it(kind: str, body: str) -> None:
    folded, unrolled = (Folded(BODIES[body](), function) for function in (FOLDS[kind], by_steps))
    network = snnconv.convert(folded, X, coding=FewSpike(12, spikes=6))
    assert all(population.shape[0] == 4 for population in network.populations.values())
    assert error(network, folded) < 0.02
    steps = snnconv.convert(unrolled, X, coding=FewSpike(12, spikes=6))
    assert synapses(network) == synapses(steps)


def synapses(network: snnconv.SpikingNetwork) -> float:
    counted = network.synapses
    assert not counted.bounds
    return sum(float(counted.fan_out[name].sum()) for name in network.populations)


@pytest.mark.parametrize("kind", FOLDS)
def test_time_folded_into_a_batch_of_pictures_is_refused_once_with_what_converts(kind: str) -> None:
    folded = Folded(enlarging_body(), FOLDS[kind])
    (problem,) = snnconv.preflight(folded, X).problems
    assert problem.op in (kind, "view", "reshape") and "folds another axis" in problem.reason
    assert problem.source.file == __file__ and "torch.stack([body(x[:, t])" in problem.remedy
    network = snnconv.convert(Folded(enlarging_body(), by_steps), X, coding=FewSpike(12, spikes=6))
    assert error(network, folded) < 0.02
