from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import snnconv
from snnconv.capture.normal_form import normal_form
from snnconv.capture.translation import capture
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import evaluate_graph
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.activation import ActivationOperator, BoundedRelu, IdentityPopulation, LeakyRelu, Relu
from snnconv.graph.operators.pooling import MaximumOperator

SHAPE = (2, 8, 8)


class RewrittenNet(nn.Module):
    """Layers of a small image network and a function that wires them."""

    def __init__(self, wiring: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norm, self.other_norm = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.pool, self.linear, self.vector_norm = nn.MaxPool2d(2), nn.Linear(4, 3), nn.BatchNorm1d(3)
        for norm in (self.norm, self.other_norm, self.vector_norm):
            nn.init.uniform_(norm.weight, -1.0, 1.5)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_var, 0.5, 2.0)  # type: ignore[arg-type]
        self.wiring = wiring

    def forward(self, x: Tensor) -> Any:
        return self.wiring(self, x)


def norm_seen_twice(m: Any, x: Tensor) -> Tensor:
    y = m.first(x)
    return torch.relu(m.norm(y)) + torch.relu(y)


def shared_conv(m: Any, x: Tensor) -> Tensor:
    y = torch.relu(m.norm(m.second(torch.relu(m.first(x)))))
    return torch.relu(m.other_norm(m.second(y)))


def shared_norm(m: Any, x: Tensor) -> Tensor:
    return torch.relu(m.norm(m.second(torch.relu(m.norm(m.first(x))))))


def residual(m: Any, x: Tensor) -> Tensor:
    y = torch.relu(m.norm(m.first(x)))
    return torch.relu(m.other_norm(m.second(y)) + y)


def norm_used_as_output(m: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    y = m.first(x)
    return torch.relu(m.norm(y)), y


ZOO: dict[str, Callable[[Any, Tensor], Any]] = {
    "conv, norm, relu": lambda m, x: torch.relu(m.norm(m.first(x))),
    "conv, relu, norm": lambda m, x: m.norm(torch.relu(m.first(x))),
    "two norms in a row": lambda m, x: torch.relu(m.other_norm(m.norm(m.first(x)))),
    "norm without a convolution": lambda m, x: m.linear(torch.relu(m.norm(torch.cat([x, -x], 1))).mean((2, 3))),
    "norm of one of two consumers": norm_seen_twice,
    "norm of an output": norm_used_as_output,
    "shared convolution": shared_conv,
    "shared norm": shared_norm,
    "residual": residual,
    "relu after the pool": lambda m, x: torch.relu(m.pool(m.norm(m.first(x)))),
    "relu before the pool": lambda m, x: m.pool(torch.relu(m.norm(m.first(x)))),
    "leaky relu after the pool": lambda m, x: F.leaky_relu(m.pool(m.first(x)), 0.2),
    "relu6 after the pool": lambda m, x: F.relu6(m.pool(8 * m.first(x))),
    "clamp after the pool": lambda m, x: m.pool(m.first(x)).clamp(-0.1, 0.2),
    "pool of a sum": lambda m, x: m.pool(m.first(x)),
    "pool of a sum and relu later": lambda m, x: torch.relu(m.second(m.pool(m.first(x)))),
    "pool of the pool": lambda m, x: torch.relu(m.pool(m.pool(m.first(x)))),
    "pool with two consumers": lambda m, x: (lambda y: torch.relu(y) + y)(m.pool(m.first(x))),
    "pool of the input": lambda m, x: torch.relu(m.first(m.pool(x))),
    "pool of a concatenation": lambda m, x: m.pool(torch.cat([torch.relu(m.first(x)), m.first(x)], 1)),
    "maximum over axes": lambda m, x: torch.relu(torch.amax(m.first(x), (2, 3))),
    "head": lambda m, x: m.linear(torch.relu(m.first(x)).mean((2, 3))),
    "linear and norm": lambda m, x: torch.relu(m.vector_norm(m.linear(torch.relu(m.first(x)).mean((2, 3))))),
    "linear on many axes and norm": lambda m, x: torch.relu(
        m.vector_norm(m.linear(torch.relu(m.first(x)).flatten(2).transpose(1, 2)).transpose(1, 2))
    ),
    "constants from parameters": lambda m, x: torch.relu(m.first(x) * (m.norm.weight.view(-1, 1, 1) * 2 + 1)),
    "constant batch": lambda m, x: torch.relu(m.first(x) + x.new_ones(x.shape[0], 4, 8, 8) * m.norm.weight.sum()),
    "nested output": lambda m, x: {"a": [torch.relu(m.pool(m.first(x)))], "b": m.norm(m.first(x))},
    "input as output": lambda m, x: (x, torch.relu(m.first(x))),
}


def images(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@cache
def rewritten(wiring: Callable[[Any, Tensor], Any]) -> tuple[nn.Module, Graph, Graph]:
    model = RewrittenNet(wiring).double().eval()
    graph = capture(model, (images(3),))
    return model, graph, normal_form(graph, (images(3),))


def ops(graph: Graph) -> Counter[str]:
    return Counter(node.op for node in graph.nodes.values())


def assert_same(model: nn.Module, graph: Graph) -> None:
    for size in (1, 4):
        x = images(size, seed=size)
        torch.testing.assert_close(evaluate_graph(graph, (x,))[0], model(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ZOO)
def test_the_normal_form_computes_the_same_function(name: str) -> None:
    model, captured, graph = rewritten(ZOO[name])
    before = {key: tensor.clone() for key, tensor in captured.constants.items()}
    assert_same(model, captured)
    assert_same(model, graph)
    assert all(torch.equal(captured.constants[key], tensor) for key, tensor in before.items())
    assert "batch_norm" not in ops(graph)
    for node in graph.nodes.values():
        operator = OPERATORS[node.op]
        if isinstance(operator, ActivationOperator):
            assert isinstance(operator, (Relu, BoundedRelu, LeakyRelu, IdentityPopulation))


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("conv, norm, relu", 0),
        ("residual", 0),
        ("linear and norm", 0),
        ("shared norm", 0),
        ("conv, relu, norm", 1),
        ("norm without a convolution", 1),
        ("norm of one of two consumers", 1),
        ("norm of an output", 1),
        ("shared convolution", 2),
        ("linear on many axes and norm", 1),
    ],
)
def test_a_batch_norm_is_folded_only_into_weights_of_its_own(name: str, kept: int) -> None:
    _, _, graph = rewritten(ZOO[name])
    assert ops(graph)["channel_affine"] == kept


def activations_and_pools(graph: Graph) -> list[str]:
    """Kinds of activations and maxima in order of execution."""
    kinds = []
    for node in graph.nodes.values():
        operator = OPERATORS[node.op]
        if isinstance(operator, (ActivationOperator, MaximumOperator)):
            kinds.append("pool" if isinstance(operator, MaximumOperator) else node.op)
    return kinds


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("relu after the pool", ["relu", "pool"]),
        ("relu before the pool", ["relu", "pool"]),
        ("leaky relu after the pool", ["leaky_relu", "pool"]),
        ("relu6 after the pool", ["bounded_relu", "pool"]),
        ("maximum over axes", ["relu", "pool"]),
        ("pool of a sum", ["identity_population", "pool"]),
        ("pool of a sum and relu later", ["identity_population", "pool", "relu"]),
        ("pool with two consumers", ["identity_population", "pool", "relu"]),
        ("pool of the input", ["pool", "relu"]),
    ],
)
def test_a_maximum_is_taken_over_spikes(name: str, order: list[str]) -> None:
    _, _, graph = rewritten(ZOO[name])
    assert activations_and_pools(graph) == order


def test_a_maximum_over_a_maximum_is_taken_over_the_spikes_of_one_population() -> None:
    _, _, graph = rewritten(ZOO["pool of the pool"])
    assert activations_and_pools(graph) == ["relu", "pool", "pool"]


def test_pools_over_the_same_sum_share_one_population() -> None:
    def pyramid(m: Any, x: Tensor) -> Tensor:
        current = m.first(x)
        return torch.cat([current, *(F.max_pool2d(current, size, 1, size // 2) for size in (3, 5))], 1)

    model, _, graph = rewritten(pyramid)
    assert activations_and_pools(graph) == ["identity_population", "pool", "pool"]
    assert_same(model, graph)


def test_where_a_concatenation_holds_a_sum_the_whole_is_relayed() -> None:
    _, _, graph = rewritten(ZOO["pool of a concatenation"])
    assert activations_and_pools(graph) == ["relu", "identity_population", "pool"]


CLIPPED: dict[str, Callable[[Tensor], Tensor]] = {
    "relu6": F.relu6,
    "hardtanh": F.hardtanh,
    "hardtanh from 0": lambda x: F.hardtanh(x, 0.0, 1.5),
    "hardtanh from above 0": lambda x: F.hardtanh(x, 0.5, 1.5),
    "clamp": lambda x: x.clamp(-1.5, 0.75),
    "clamp from 0": lambda x: x.clamp(0.0, 2.0),
    "clamp below 0": lambda x: x.clamp(-2.0, -1.0),
    "clamp_min": lambda x: x.clamp_min(-0.5),
    "clamp_min at 0": lambda x: x.clamp_min(0.0),
    "clamp_max": lambda x: x.clamp_max(0.75),
    "clamp_max at 0": lambda x: x.clamp_max(0),
    "clamp with min alone": lambda x: x.clamp(min=1),
    "clamp with max alone": lambda x: x.clamp(max=-0.25),
    "clip": lambda x: torch.clip(x, -1, 1),
    "clamp in place": lambda x: (x * 1.0).clamp_(-1, 1),
    "threshold at 0": lambda x: F.threshold(x, 0.0, 0.0),
    "leaky relu": lambda x: F.leaky_relu(x, 0.1),
    "leaky relu of slope 0": lambda x: F.leaky_relu(x, 0.0),
    "leaky relu of slope 1": lambda x: F.leaky_relu(x, 1.0),
}


def test_every_clipping_function_has_a_normal_form_of_the_same_values() -> None:
    class Clips(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {name: function(x) for name, function in CLIPPED.items()}

    x = torch.linspace(-9, 9, 1441, dtype=torch.float64).view(1, -1)
    graph = normal_form(capture(Clips(), (x,)), (x,))
    found, _ = evaluate_graph(graph, (x,))
    for name, function in CLIPPED.items():
        torch.testing.assert_close(found[name], function(x), rtol=0, atol=1e-12)
    assert set(ops(graph)) <= {"relu", "bounded_relu", "leaky_relu", "add", "sub", "rsub", "mul"}
    for node in graph.nodes.values():
        operator = OPERATORS[node.op]
        if isinstance(operator, ActivationOperator):
            activation = operator.activation(node.arguments)
            assert activation.bound is None or 0 < activation.bound < math.inf


def test_activation_functions_of_populations_are_the_operators() -> None:
    class Each(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [torch.relu(x), F.relu6(x), F.leaky_relu(x, 0.25)]

    x = torch.linspace(-9, 9, 73, dtype=torch.float64).view(1, -1)
    graph = normal_form(capture(Each(), (x,)), (x,))
    for node, expected in zip(graph.nodes.values(), Each()(x), strict=True):
        operator = OPERATORS[node.op]
        assert isinstance(operator, ActivationOperator)
        torch.testing.assert_close(operator.activation(node.arguments)(x), expected)


def test_shapes_of_a_normal_form_are_those_of_the_example() -> None:
    _, _, graph = rewritten(ZOO["head"])
    shapes = [node.shape for node in graph.nodes.values()]
    assert shapes == [(3, 4, 8, 8), (3, 4, 8, 8), (3, 4), (3, 3)]


@pytest.mark.parametrize("rows", [1, 4])
def test_the_length_of_a_batch_is_that_of_an_input_whatever_it_was_read_off(rows: int) -> None:
    class Padded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = torch.relu(x.reshape(-1, x.shape[1] // rows))
            return torch.cat([y, torch.ones_like(y)], 1).reshape(x.shape[0], -1)

    x, y = (torch.randn(size, 8, dtype=torch.float64) for size in (3, 5))
    graph = normal_form(capture(Padded(), (x,)), (x,))
    lengths = [node for node in graph.nodes.values() if node.op == "sym_size"]
    assert lengths and all(node.arguments["self"].name == "x" for node in lengths)
    assert torch.equal(evaluate_graph(graph, (y,))[0], Padded()(y))


def test_a_tensor_as_long_as_a_batch_of_spikes_is_made_before_they_are_fired() -> None:
    class Shifted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = torch.relu(x)
            return y + torch.ones_like(y)

    x = torch.linspace(-1, 1, 60, dtype=torch.float64).view(20, 3)
    network = snnconv.convert(Shifted(), x)
    torch.testing.assert_close(network(x), Shifted()(x), rtol=0, atol=0.1)


def test_a_network_that_picks_by_a_mask_is_stored_with_positions(tmp_path: Path) -> None:
    class Masked(nn.Module):
        keep: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("keep", torch.tensor([[True, False, True], [False, True, False]]))

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x[:, self.keep])

    x = torch.randn(20, 2, 3, dtype=torch.float64)
    network = snnconv.convert(Masked(), x)
    assert {name: each.tolist() for name, each in network.constants.items()} == {
        "keep.positions0": [0, 0, 1],
        "keep.positions1": [0, 2, 1],
    }
    assert torch.equal(network.reference(x), Masked()(x))
    network.save(tmp_path / "masked.snn")
    assert torch.equal(snnconv.load(tmp_path / "masked.snn")(x), network(x))


def test_what_no_output_needs_is_dropped() -> None:
    def unused(m: Any, x: Tensor) -> Tensor:
        m.linear(m.second(m.first(x)).mean((2, 3)))
        return torch.relu(m.first(x))

    _, _, graph = rewritten(unused)
    assert ops(graph) == {"conv2d": 1, "relu": 1}
    assert sorted(graph.constants) == ["first.bias", "first.weight"]
