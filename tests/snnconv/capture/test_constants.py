"""What no input reaches: whatever torch makes of it is a constant, and what a batch sizes fits every batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import utils
from torch.nn.utils import parametrizations, parametrize

import snnconv
from coding import FewSpike
from snnconv.capture.normal_form import normal_form
from snnconv.capture.translation import capture
from snnconv.graph.graph import SHAPE_ONLY, Graph
from snnconv.graph.interpreter import evaluate_graph
from tests.support.operators import Apply

SIZE = 4


class Triangle(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.flatten(1).tril().view_as(weight)


def of_table(function: Callable[[Tensor, Tensor], Any]) -> Callable[[], nn.Module]:
    return lambda: Apply(function, torch.linspace(-1.0, 2.0, SIZE * SIZE, dtype=torch.float64).view(SIZE, SIZE))


def layer(wrap: Callable[[nn.Module], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: wrap(nn.Linear(SIZE, SIZE).double())


def coordinates(x: Tensor) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(2.0), torch.linspace(-1, 1, SIZE), indexing="ij")
    return torch.cat([x.unsqueeze(1), torch.stack([rows, columns]).view(1, 4, SIZE).expand(x.shape[0], -1, -1)], 1)


def written_into_zeros(x: Tensor, c: Tensor) -> Tensor:
    mask = torch.zeros_like(c)
    mask[1:3] = 1.0
    return x @ (mask * c)


#: Functions of an input [N, 4] whose constants are the same for every batch.
FIXED: dict[str, Callable[[], nn.Module]] = {
    "weight norm": layer(parametrizations.weight_norm),
    "spectral norm, by a hook": layer(utils.spectral_norm),
    "spectral norm": layer(parametrizations.spectral_norm),
    "orthogonal": layer(parametrizations.orthogonal),
    "triangle": layer(lambda linear: parametrize.register_parametrization(linear, "weight", Triangle())),
    "coordinates": lambda: Apply(coordinates),
    "positions": lambda: Apply(lambda x: x + torch.arange(x.shape[1], dtype=x.dtype).div(3).sin()),
    "identity": lambda: Apply(lambda x: x @ torch.eye(SIZE, dtype=x.dtype)),
    "classes": lambda: Apply(lambda x: x @ F.one_hot(torch.arange(SIZE) % 3, 3).to(x.dtype)),
    "mask of whole numbers": of_table(lambda x, c: x * (c > 0).sum(0)),
    "masked": of_table(lambda x, c: x @ c.masked_fill(torch.ones(SIZE, SIZE).triu(1) > 0, 0.0)),
    "softmax": of_table(lambda x, c: x @ (c / 0.5).softmax(-1)),
    "norm": of_table(lambda x, c: x @ (c / c.norm(dim=0).clamp(min=1e-6))),
    "linear algebra": of_table(lambda x, c: x @ torch.linalg.inv(c @ c.t() + torch.eye(SIZE, dtype=c.dtype))),
    "sorted": of_table(lambda x, c: x + c.sort(0, descending=True).values[0] + c.max(1).values),
    "pieces": of_table(lambda x, c: torch.cat([x * row for row in c.unbind(0)], 1)),
    "a number": of_table(lambda x, c: x * c[0, 1].item()),
    "other precision": of_table(lambda x, c: x * c[0].float().sin().double()),
    "gradients asked for": of_table(lambda x, c: x * with_gradients(c)),
    "filled in place": of_table(written_into_zeros),
}


def with_gradients(c: Tensor) -> Tensor:
    with torch.enable_grad():
        return c.sum(0)


#: Functions of an input [N, 4] whose constants depend on the size of the batch.
SIZED: dict[str, Callable[[Tensor], Tensor]] = {
    "zeros": lambda x: x + torch.zeros(x.shape[0], SIZE, dtype=x.dtype),
    "empty": lambda x: x + 0 * x.new_empty(x.shape[0], SIZE),
    "whole numbers": lambda x: x + x.new_full((x.shape[0], 1), 3, dtype=torch.long),
    "truth": lambda x: x * torch.ones(x.shape[0], 1, dtype=torch.bool),
    "counted up": lambda x: x + 0 * torch.arange(x.shape[0]).unsqueeze(1),
    "counted up in steps": lambda x: x + 0 * torch.arange(1, 2 * x.shape[0], 2).to(x.dtype).unsqueeze(1),
    "expanded": lambda x: torch.cat([x, torch.arange(2, dtype=x.dtype).expand(x.shape[0], 2)], 1),
    "divided": lambda x: x * (1 / x.shape[0]) + x / (x.shape[0] + 1),
    "root": lambda x: x / x.shape[0] ** 0.5,
    "largest of two": lambda x: x * torch.sym_max(x.shape[0], 2) - torch.sym_min(x.shape[0], 3),  # type: ignore[no-untyped-call]
    "sum over an identity": lambda x: x + torch.eye(x.shape[0], dtype=x.dtype).sum(1).unsqueeze(1),
}


@cache
def captured(name: str) -> tuple[nn.Module, Graph]:
    torch.manual_seed(0)
    model = FIXED[name]() if name in FIXED else Apply(SIZED[name])
    return model, capture(model.eval(), (inputs(3),))


def inputs(count: int) -> Tensor:
    return torch.randn(count, SIZE, generator=torch.Generator().manual_seed(count), dtype=torch.float64)


@pytest.mark.parametrize("name", [*FIXED, *SIZED])
def test_constants_made_in_forward_hold_for_every_batch(name: str) -> None:
    model, graph = captured(name)
    assert graph.batch_axis == 0
    for size in (1, 2, 5):
        torch.testing.assert_close(evaluate_graph(graph, (inputs(size),))[0], model(inputs(size)))
    normal = normal_form(graph, (inputs(2),))
    torch.testing.assert_close(evaluate_graph(normal, (inputs(5),))[0], model(inputs(5)))


@pytest.mark.parametrize("name", FIXED)
def test_what_no_input_reaches_is_no_operation(name: str) -> None:
    _, graph = captured(name)
    signals = graph.signals()
    others = [node for node in graph.nodes.values() if node.name not in signals and node.op not in SHAPE_ONLY]
    assert all(set(node.refs()) & graph.nodes.keys() for node in others)  # a size of the batch feeds each


@pytest.mark.parametrize(
    ("name", "parameter"),
    [("weight norm", True), ("orthogonal", True), ("mask of whole numbers", False), ("positions", False)],
)
def test_what_is_made_of_parameters_is_a_parameter(name: str, parameter: bool) -> None:
    _, graph = captured(name)
    assert bool(graph.parameters - {"bias", "weight"}) is parameter


class Masked(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(super().forward(x)) * (self.weight > 0).any(0)


def test_a_mask_of_parameters_is_none() -> None:
    graph = capture(Masked(SIZE, SIZE), (inputs(3).float(),))
    assert graph.parameters == {"weight", "bias"}
    assert {graph.constants[name].dtype for name in graph.constants.keys() - graph.parameters} == {torch.bool}


def test_a_network_of_computed_weights_is_stored(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(Masked(SIZE, SIZE), parametrizations.weight_norm(nn.Linear(SIZE, 3)))
    x = torch.randn(64, SIZE)
    snn = snnconv.convert(network, x, coding=FewSpike(8, spikes=3))
    snn.save(tmp_path / "computed.snn")
    assert torch.equal(snnconv.load(tmp_path / "computed.snn")(x), snn(x))


RANDOM: dict[str, Callable[[Tensor], Tensor]] = {
    "a constant": lambda x: torch.relu(x + torch.rand(SIZE)),
    "for every sample": lambda x: torch.relu(x + torch.randn(x.shape[0], SIZE)),
    "dropout in training": lambda x: torch.relu(F.dropout(x, 0.5)),
    "dropout of a constant": lambda x: torch.relu(x * F.dropout(torch.ones(SIZE), 0.5)),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_are_refused_by_that_name(name: str) -> None:
    (problem,) = snnconv.preflight(Apply(RANDOM[name]), torch.rand(4, SIZE)).problems
    assert problem.reason == "it draws random numbers"
    assert "buffer" in problem.remedy and "training=self.training" in problem.remedy
    assert problem.source.line


def test_what_only_the_batch_sizes_and_no_operator_makes_is_refused() -> None:
    model = Apply(lambda x: torch.relu(x + torch.special.bessel_j0(torch.arange(x.shape[0])).sum()))
    report = snnconv.preflight(model, inputs(3))
    (problem,) = report.problems
    assert problem.op == "special_bessel_j0"
    assert "size of the batch" in problem.reason and "axis 0" in problem.remedy
