"""Sweeps of networks with several inputs, constants and sparse matrices."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import Rate
from snnconv import StorageError, Sweep
from tests.support.networks import GraphConvolution, TwoInputs, draw, make, prepared


def test_several_inputs_constants_and_exported_programs(tmp_path: Path) -> None:
    model, x = prepared(TwoInputs), (draw(20, 6), draw(20, 3, seed=1))
    file = tmp_path / "two.json"
    found = snnconv.sweep(model, [(x, None)], [(x, None)], {"rate": Rate(6)}, path=file)
    assert found.results[0].accuracy is None and found.results[0].quality == found.results[0].agreement
    with pytest.raises(StorageError, match="another data set"):
        snnconv.sweep(model, [(x, None)], [((x[0], x[1] + 1.0), None)], {"rate": Rate(6)}, path=file)

    graph, nodes = prepared(GraphConvolution), draw(6, 5)
    targets = graph(nodes).argmax(1)
    (of_nodes,) = snnconv.sweep(graph, nodes, (nodes, targets), {"rate": Rate(64)}).results
    assert of_nodes.reference_accuracy == 100.0 and (of_nodes.samples, of_nodes.judged, of_nodes.decided) == (1, 6, 6)

    deep, x1 = make("deep")
    program = torch.export.export(deep, (x1,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    file = tmp_path / "program.json"
    same = [snnconv.sweep(program, x1, x1, {"rate": Rate(6)}, path=file) for _ in range(2)]
    assert same[0] == same[1] == snnconv.sweep(deep, x1, x1, {"rate": Rate(6)})


def test_a_constant_argument_is_part_of_the_model(tmp_path: Path) -> None:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(5, 7), nn.Linear(7, 3)

        def forward(self, x: Tensor, adj: Tensor) -> Tensor:
            scores: Tensor = torch.sparse.mm(adj, self.second(torch.relu(torch.sparse.mm(adj, self.first(x)))))
            return scores

    x, adjacency = draw(6, 5), torch.eye(6, dtype=torch.float64) + torch.ones(6, 6, dtype=torch.float64).tril(-4)
    model, file = prepared(Graph), tmp_path / "graph.json"
    options: dict[str, Any] = {"path": file, "constants": {"adj": adjacency.to_sparse()}}
    assert snnconv.sweep(model, x, x, {"rate": Rate(8)}, **options) == Sweep.load(file)
    options["constants"] = {"adj": (2.0 * adjacency).to_sparse()}
    with pytest.raises(StorageError, match="another model"):
        snnconv.sweep(model, x, x, {"rate": Rate(8)}, **options)


def test_a_reference_may_hold_a_sparse_matrix(tmp_path: Path) -> None:
    class Graph(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.first = nn.Linear(5, 3)
            self.register_buffer("adj", (scale * torch.eye(6, dtype=torch.float64)).to_sparse())

        def forward(self, x: Tensor) -> Tensor:
            scores: Tensor = torch.relu(torch.sparse.mm(self.adj, self.first(x))) @ self.first.weight
            return scores

    x, model, file = draw(6, 5), prepared(functools.partial(Graph, 1.0)), tmp_path / "graph.json"
    first = snnconv.sweep(model, x, x, {"rate": Rate(8)}, path=file, reference=copy.deepcopy(model))
    assert snnconv.sweep(model, x, x, {"rate": Rate(8)}, path=file, reference=copy.deepcopy(model)) == first
    with pytest.raises(StorageError, match="another reference;"):
        snnconv.sweep(model, x, x, {"rate": Rate(8)}, path=file, reference=Graph(2.0).double())
