"""Nodes with several signal operands: synapses of a product of two signals, told by the contract of an operator."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snnconv.graph.affine_regions import Regions
from snnconv.graph.graph import Graph, Node, Ref
from snnconv.graph.operators import OPERATORS, Classification, Operator, Role
from snnconv.graph.operators.base import Arguments, Carries
from snnconv.graph.reach import Reach
from snnconv.spiking.synapses import count_products, count_synapses, probe


class Scores(Operator):
    """``left @ right`` of two signals, as queries meet keys."""

    names = ("scores",)

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.matmul(arguments["left"], arguments["right"])

    def paths(self, arguments: Arguments, carries: Carries) -> Tensor:
        left, right = arguments["left"], arguments["right"]
        return left @ torch.ones_like(right) + torch.ones_like(left) @ right

    def mixed_axis(self, carries: Carries) -> int | None:
        return -1 if carries["left"] else -2

    def reach(self, arguments: Arguments) -> Reach:
        left, right = arguments["left"], arguments["right"]
        of_left = left.along(-1, torch.ones(left.shape[-1], right.shape[-1]))
        return of_left.union(right.along(-2, torch.ones(right.shape[-2], left.shape[-2])))  # type: ignore[no-any-return]

    def macs(self, arguments: Arguments, carries: Carries, result: Tensor) -> int:
        return result.numel() * int(arguments["left"].shape[-1])


#: Queries [rows, inner], keys [inner, columns], and what multiplies their product from the left and from the right.
CASES: dict[str, tuple[int, int, int, str]] = {
    "alone": (3, 4, 5, ""),
    "mixed again along rows": (4, 4, 4, "rows"),
    "mixed again along columns": (4, 4, 4, "columns"),
    "other lengths, along rows": (3, 4, 5, "rows"),
    "other lengths, along columns": (3, 4, 5, "columns"),
}


@pytest.mark.parametrize("name", CASES)
def test_every_neuron_reaches_the_outputs_that_a_change_of_it_changes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPERATORS, "scores", Scores("scores"))
    rows, inner, columns, mixed = CASES[name]
    generator = torch.Generator().manual_seed(0)

    def positive(*shape: int) -> Tensor:  # no path is lost to a cancellation
        return torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5

    shapes = {"queries": (1, rows, inner), "keys": (1, inner, columns)}
    product = Node("product", "scores", {"left": Ref("queries"), "right": Ref("keys")}, (1, rows, columns))
    nodes, weight = {"product": product}, positive(rows, rows) if mixed == "rows" else positive(columns, columns)
    if mixed:
        factors = (Ref("weight"), Ref("product")) if mixed == "rows" else (Ref("product"), Ref("weight"))
        nodes["mixed"] = Node("mixed", "matmul", dict(zip(("self", "other"), factors, strict=True)), product.shape)
    graph = Graph(dict(shapes), {"weight": weight}, nodes, Ref([*nodes][-1]))

    def output(queries: Tensor, keys: Tensor) -> Tensor:
        scores = queries @ keys
        return weight @ scores if mixed == "rows" else scores @ weight if mixed else scores

    found = count_synapses(graph, {}, shapes)
    values = (positive(*shapes["queries"]), positive(*shapes["keys"]))
    for source, changes in zip(shapes, torch.autograd.functional.jacobian(output, values), strict=True):  # type: ignore[no-untyped-call]
        wanted = changes.flatten(0, 2).ne(0).sum(0)[0].double()
        assert torch.equal(found.fan_out[source].double(), wanted)
        regions = Regions(graph, set(), shapes)
        assert torch.equal(count_products(regions, source), wanted)
        assert torch.equal(probe(regions, source), wanted)
    assert found.bounds == ()
    behind = {"": 0, "rows": rows * rows * columns, "columns": rows * columns * columns}[mixed]
    assert found.macs == rows * inner * columns + behind
