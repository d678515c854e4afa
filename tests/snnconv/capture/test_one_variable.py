"""Chains of operations on one signal become one function, as far as something that weighs or fires depends on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from snnconv.capture.one_variable import functions_as_tables
from snnconv.capture.problems import UnsupportedModelError
from snnconv.capture.translation import capture
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import evaluate_graph
from snnconv.graph.operators.expression import expression

X = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Chain(nn.Module):
    """What a function makes of two linear layers' results, and a layer behind it."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other, self.last, self.function = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2), function

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.function(self.one(x), self.other(x)))
        return result


def rewritten(model: nn.Module) -> Graph:
    model = model.double().eval()
    before = capture(model, (X,))
    graph = functions_as_tables(before)
    torch.testing.assert_close(evaluate_graph(graph, (X,))[0], model(X), rtol=1e-12, atol=1e-12)
    return graph


def functions(graph: Graph) -> list[str]:
    return [expression(node.arguments["function"]).name for node in graph.nodes.values() if node.op == "tabulated"]


#: Functions of two layers' results, and the functions that are looked up in them.
CHAINS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], list[str]]] = {
    "one operator": (lambda x, y: torch.tanh(x), ["tanh"]),
    "a product with itself": (lambda x, y: x * x, ["mul"]),
    "a chain": (lambda x, y: torch.relu(torch.exp(-x.abs()) - 0.1), ["abs+neg+exp+sub+relu"]),
    "what is linear behind stays": (lambda x, y: 2 * torch.sin(x) + 1, ["sin"]),
    "what is linear in front belongs to it": (lambda x, y: torch.sin(2 * x + 1), ["mul+add+sin"]),
    "a sum of two": (lambda x, y: torch.sin(x) + torch.relu(x), ["sin"]),
    "a constant of one number": (lambda x, y: torch.sin(x * torch.tensor(2.0, dtype=x.dtype)), ["mul+sin"]),
    "a factor for each channel is linear": (lambda x, y: torch.sin(x * X[0]), ["sin"]),
    "two signals": (lambda x, y: torch.tanh(x) + torch.sigmoid(y), ["tanh", "sigmoid"]),
    "a sum of two signals": (lambda x, y: torch.tanh(x + y), ["tanh"]),
    "a choice": (lambda x, y: torch.where(x > 0.5, x.square(), torch.tanh(x)), ["gt+square+tanh+where"]),
    "a choice by two comparisons": (
        lambda x, y: torch.where((x > 0) & ~(x >= 0.5), x.exp(), x),
        ["gt+ge+bitwise_not+__and__+exp+where"],
    ),
    "whole numbers": (lambda x, y: torch.where(x > 0, 0, 1) * x.sin(), ["gt+where+sin+mul"]),
    "pieces alone": (lambda x, y: torch.relu(x - x.clamp(-1, 1)), []),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_one_function(name: str) -> None:
    function, found = CHAINS[name]
    assert functions(rewritten(Chain(function))) == found


def test_a_value_that_others_use_has_a_table_that_they_share() -> None:
    graph = rewritten(Chain(lambda x, y: torch.cat([torch.tanh(x)[:, :3], torch.sigmoid(torch.tanh(x))[:, 3:]], 1)))
    assert functions(graph) == ["tanh", "tanh+sigmoid"]
    assert len({node.arguments["self"].name for node in graph.nodes.values() if node.op == "tabulated"}) == 1


def test_what_only_the_output_depends_on_stays() -> None:
    class Ended(Chain):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(super().forward(x)).mul(2.0).exp()

    assert functions(rewritten(Ended(lambda x, y: torch.relu(x)))) == []
    assert functions(rewritten(Ended(lambda x, y: torch.tanh(x)))) == ["tanh"]
    alone = nn.Sequential(nn.Linear(6, 6), nn.Sigmoid())
    assert functions(rewritten(alone)) == ["sigmoid"], "nothing else could spike"


def test_what_may_stay_real_valued_needs_no_table_in_front() -> None:
    graph = capture(
        nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.SiLU(), nn.Linear(6, 2)).double(), (X,)
    )
    assert functions(functions_as_tables(graph)) == ["silu"]
    assert functions(functions_as_tables(graph, {"linear_2"})) == []


def test_a_comparison_alone_is_no_number() -> None:
    graph = functions_as_tables(capture(Chain(lambda x, y: (x > 0).to(x.dtype)).double(), (X,)))
    assert functions(graph) == [] and graph.nodes["gt"].op == "gt"


def test_a_chain_of_too_many_operations_is_refused_at_its_place() -> None:
    def long(x: Tensor, y: Tensor) -> Tensor:
        for _ in range(257):
            x = torch.sin(x)
        return x

    graph = capture(Chain(long).double(), (X,))
    with pytest.raises(UnsupportedModelError, match="1 to 256 operators, not 257") as caught:
        functions_as_tables(graph)
    (problem,) = caught.value.preflight.problems
    assert problem.op == "sin" and "self.function(" in problem.source.text
