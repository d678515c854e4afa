"""Functions made of straight pieces: populations in ReLU form that compute the same, however a model writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import snnconv
from coding import FewSpike
from snnconv.capture.normal_form import normal_form
from snnconv.capture.roles_report import inspect
from snnconv.capture.translation import capture
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import evaluate_graph
from snnconv.graph.operators import OPERATORS, Role
from snnconv.graph.operators.activation import BoundedRelu, IdentityPopulation, LeakyRelu, Relu
from tests.support.operators import Apply
from tests.support.pipelines import assert_simulators_agree

WIDTH = 6
R, B, L, SIGNED = "relu", "bounded_relu", "leaky_relu", "identity_population"


class Pieces(nn.Module):
    """A function of the currents of a layer and of constants, between two weighted layers."""

    def __init__(self, function: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.other, self.last = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.bound = nn.Parameter(torch.linspace(0.2, 1.5, WIDTH))
        self.slopes = nn.PReLU(WIDTH)
        self.function = function
        with torch.no_grad():
            self.first.weight.mul_(4.0)
            self.slopes.weight.copy_(torch.linspace(-0.3, 1.3, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.function(self, self.first(x)))
        return result


#: What stands between two layers, and the populations that a hand calculation finds for it.
FUNCTIONS: dict[str, tuple[Callable[[Any, Tensor], Tensor], list[str]]] = {
    "PReLU, one slope": (lambda m, x: F.prelu(x, torch.tensor([0.25], dtype=x.dtype)), [L]),
    "PReLU, equal slopes": (lambda m, x: F.prelu(x, torch.full((WIDTH,), 0.25, dtype=x.dtype)), [L]),
    "PReLU, slopes of 0": (lambda m, x: F.prelu(x, torch.zeros(1, dtype=x.dtype)), [R]),
    "PReLU, a slope each": (lambda m, x: m.slopes(x), [R, R]),
    "PReLU, one slope above 1": (lambda m, x: F.prelu(x, torch.tensor([1.5], dtype=x.dtype)), [R, R]),
    "RReLU": (lambda m, x: F.rrelu(x, 0.1, 0.3), [L]),
    "leaky ReLU, slope below 0": (lambda m, x: F.leaky_relu(x, -0.5), [R, R]),
    "hard tanh, open above": (lambda m, x: F.hardtanh(x, 0.0, float("inf")), [R]),
    "hard tanh, open below": (lambda m, x: F.hardtanh(x, float("-inf"), 0.5), [R]),
    "abs": (lambda m, x: x.abs(), [R, R]),
    "soft shrinkage": (lambda m, x: F.softshrink(x, 0.3), [R, R]),
    "hard sigmoid": (lambda m, x: F.hardsigmoid(x), [B]),
    "threshold that does not jump": (lambda m, x: F.threshold(x, 0.4, 0.4), [R]),
    "CReLU": (lambda m, x: torch.cat([x.relu(), (-x).relu()], 1)[:, 2:-4], [R, R]),
    "maximum with 0": (lambda m, x: torch.maximum(x, torch.zeros_like(x)), [R]),
    "maximum with a number": (lambda m, x: torch.max(x, torch.tensor(0.3, dtype=x.dtype)), [R]),
    "maximum with a parameter": (lambda m, x: torch.maximum(m.bound, x), [R]),
    "minimum with a parameter": (lambda m, x: torch.minimum(x, m.bound), [R]),
    "fmax and fmin": (lambda m, x: torch.fmin(torch.fmax(x, -m.bound), m.bound), [B]),
    "clamp between parameters": (lambda m, x: x.clamp(-m.bound, m.bound), [B]),
    "clamp from 0 to a parameter": (lambda m, x: torch.clamp(x, torch.zeros_like(m.bound), m.bound), [B]),
    "clamp above a parameter": (lambda m, x: x.clamp(min=m.bound), [R]),
    "clamp between parameters that meet": (lambda m, x: x.clamp(m.bound, m.bound.clamp(0.5)), [R, R]),
    "learned clip of a ReLU": (lambda m, x: torch.minimum(x.relu(), m.bound), [B]),
    "ReLU and clamp": (lambda m, x: x.relu().clamp(max=0.7), [B]),
    "clip from above, then below": (lambda m, x: x.clamp_max(0.7).clamp_min(-0.2), [B]),
    "clips that cross": (lambda m, x: torch.maximum(x.clamp_max(0.7), m.bound), [R, R]),
    "clip of what is used twice": (lambda m, x: (lambda y: torch.minimum(y, m.bound) + y)(x.relu()), [R, R]),
    "maximum of two currents": (lambda m, x: torch.maximum(x, m.other(x)), [SIGNED, R]),
    "minimum of two currents": (lambda m, x: torch.minimum(x, m.other(x)), [SIGNED, R]),
    "maximum of spikes and a current": (lambda m, x: torch.maximum(x.relu(), m.other(x)), [R, R]),
    "minimum of a current and spikes": (lambda m, x: torch.minimum(m.other(x), x.relu()), [R, R]),
    "clamp between signals": (lambda m, x: x.clamp(-m.other(x).relu(), m.other(x).relu()), [R, R, R, R]),
    "maxout": (lambda m, x: torch.cat(2 * [x.view(-1, 2, 3).amax(1)], 1), [SIGNED]),
    "where with a constant mask": (lambda m, x: torch.where(m.bound > 0.8, x.relu(), m.bound), [R]),
    "filled where a mask says": (lambda m, x: x.relu().masked_fill(m.bound > 0.8, 0.5), [R]),
    "where(x > 0, x, a x)": (lambda m, x: torch.where(x > 0, x, 0.1 * x), [L]),
    "where(x <= 0, x / 4, x)": (lambda m, x: torch.where(x <= 0, x / 4, x), [L]),
    "where(x > 0, x, slopes x)": (lambda m, x: torch.where(x > 0, x, m.slopes.weight * x), [R, R]),
    "where(x > c, lines that meet)": (lambda m, x: torch.where(x > 0.5, 2 * x - 0.5, 0.75 - 0.5 * x), [R, R]),
    "where(x < c, x, c)": (lambda m, x: torch.where(x < 0.5, x, torch.full_like(x, 0.5)), [R]),
    "x (x > 0)": (lambda m, x: x * (x > 0), [R]),
    "(x > 0).float() x": (lambda m, x: (x > 0).to(x.dtype) * x, [R]),
    "filled below 0": (lambda m, x: x.masked_fill(x < 0, 0.0), [R]),
}


@cache
def built(name: str) -> tuple[nn.Module, Graph, Graph]:
    model = Pieces(FUNCTIONS[name][0]).double().eval()
    graph = capture(model, (inputs(3),))
    return model, graph, normal_form(graph, (inputs(3),))


def inputs(count: int) -> Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(count), dtype=torch.float64)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_pieces_become_the_populations_of_a_hand_calculation(name: str) -> None:
    model, graph, normal = built(name)
    for size in (1, 40):
        expected = model(inputs(size))
        torch.testing.assert_close(evaluate_graph(graph, (inputs(size),))[0], expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(evaluate_graph(normal, (inputs(size),))[0], expected, rtol=0, atol=1e-12)
    roles = inspect(normal)
    assert roles.ok
    populations = [line.op for line in roles.lines if line.role is Role.ACTIVATION]
    assert Counter(populations) == Counter(FUNCTIONS[name][1])
    assert all(isinstance(OPERATORS[op], (Relu, BoundedRelu, LeakyRelu, IdentityPopulation)) for op in populations)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_at_a_corner_the_normal_form_is_exact_too(name: str) -> None:
    _, graph, normal = built(name)
    bare = [Graph(g.inputs, {**g.constants, **at_corners(g)}, g.nodes, g.output, g.batch_axis) for g in (graph, normal)]
    x = torch.tensor([0.0, 0.3, -0.3, 0.4, 0.5, 0.7, 3.0, -3.0, 0.2, 1.5], dtype=torch.float64)
    found, expected = (evaluate_graph(each, (x[:, None].expand(-1, WIDTH),))[0] for each in (bare[1], bare[0]))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def at_corners(graph: Graph) -> dict[str, Tensor]:
    """Layers that pass their input on."""
    identity = {"weight": torch.eye(WIDTH).double(), "bias": torch.zeros(WIDTH).double()}
    names = [name for name in graph.constants if name.split(".")[0] in ("first", "other", "last")]
    return {name: identity[name.split(".")[1]] for name in names}


class Mixed(nn.Module):
    """Many functions in one network, so that one calibration serves all."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.ModuleList(nn.Linear(24, 24) for _ in range(6))
        self.slopes, self.bound = nn.PReLU(24), nn.Parameter(torch.linspace(0.5, 1.5, 24))
        self.last = nn.Linear(24, 4)
        with torch.no_grad():
            self.slopes.weight.uniform_(-0.3, 1.3)
            for layer in self.layers:
                layer.weight.mul_(2.0)  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        x = self.slopes(self.layers[0](x))
        x = self.layers[1](x).clamp(-self.bound, self.bound)
        x = torch.maximum(self.layers[2](x), self.layers[3](x))
        x = F.softshrink(self.layers[4](x), 0.2) + self.bound * F.hardsigmoid(x)
        x = self.last(self.layers[5](x).abs())
        return x


@cache
def mixed(coding: Any) -> tuple[snnconv.SpikingNetwork, Tensor, Tensor]:
    model = Mixed().double().eval()
    x = torch.randn(320, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        return snnconv.convert(model, x[:256], coding=coding), x[256:], model(x[256:])


def test_a_network_of_pieces_computes_what_the_model_computes() -> None:
    network, x, expected = mixed(FewSpike(12, spikes=6))
    assert len(network.populations) == 2 + 1 + 2 + 2 + 1 + 2
    assert float((network(x) - expected).norm() / expected.norm()) < 0.03


def test_both_simulators_agree_on_pieces() -> None:
    network, x, _ = mixed(FewSpike(12, spikes=6))
    assert_simulators_agree(network, x[:4])


JUMPS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "hard shrinkage": (lambda x: F.hardshrink(x, 0.3), "hardshrink"),
    "sign": (lambda x: x.sign(), "sign"),
    "where that jumps": (lambda x: torch.where(x > 0.5, x, 0.1 * x), "gt+mul+where"),
    "mask that jumps": (lambda x: x * (x > 0.5), "gt+mul"),
    "threshold that jumps": (lambda x: F.threshold(x, 0.5, 0.0), "threshold"),
}
COMPARISONS: dict[str, tuple[Callable[[Tensor], Tensor], list[str]]] = {
    "alone": (lambda x: (x > 0.5).to(x.dtype), ["gt", "to"]),
    "of a function": (lambda x: torch.where(x.sigmoid() > 0.5, x.flip(1), x), ["sigmoid", "gt", "where"]),
    "of one that jumps": (lambda x: F.threshold(x, 0.5, 0.0).gt(0) * x.flip(1), ["threshold", "gt", "mul"]),
}


def before_weights(function: Callable[[Tensor], Tensor]) -> snnconv.Preflight:
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), Apply(function), nn.Linear(WIDTH, WIDTH), nn.ReLU())
    return snnconv.preflight(model, inputs(4).float())


@pytest.mark.parametrize("name", JUMPS)
def test_what_jumps_and_is_of_one_signal_is_looked_up(name: str) -> None:
    function, op = JUMPS[name]
    assert [line.op for line in before_weights(function).lines] == ["linear", op, "linear", "relu"]


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_that_chooses_between_other_signals_is_refused_by_that_reason(name: str) -> None:
    function, ops = COMPARISONS[name]
    problems = before_weights(function).problems
    assert [problem.op for problem in problems] == ops
    (comparison,) = [problem for problem in problems if problem.op == "gt"]
    assert "jumps" in comparison.reason and "gate" in comparison.remedy


OUTPUTS: dict[str, tuple[Callable[[Tensor], Tensor], bool]] = {
    "abs": (lambda x: x.abs(), False),
    "hard sigmoid": (lambda x: F.hardsigmoid(x), False),
    "maximum": (lambda x: torch.maximum(x, 0.5 * x.flip(1)), False),
    "abs and what is affine": (lambda x: 2 * x.abs().sum(1) - 1, False),
    "abs and a softmax": (lambda x: x.abs().softmax(1), False),
    "abs and weights": (lambda x: x.abs() @ torch.ones(WIDTH, 2), True),
    "abs and a population": (lambda x: (1 - x.abs()).relu(), True),
    "clamp": (lambda x: x.clamp(-1, 1), True),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_functions_of_the_output_are_populations_only_in_front_of_something(name: str) -> None:
    function, spiking = OUTPUTS[name]
    plain = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
    model = nn.Sequential(plain, Apply(function))
    network = snnconv.convert(model, inputs(64).float(), coding=FewSpike(10, spikes=5))
    assert (len(network.populations) > 1) is spiking
    if not spiking:
        decoded = snnconv.convert(plain, inputs(64).float(), coding=FewSpike(10, spikes=5))(inputs(5).float())
        torch.testing.assert_close(network(inputs(5).float()), function(decoded))


def test_a_function_of_the_output_is_a_population_where_there_is_no_other() -> None:
    network = snnconv.convert(Apply(torch.abs), inputs(64).float(), coding=FewSpike(10, spikes=5))
    assert len(network.populations) == 2
