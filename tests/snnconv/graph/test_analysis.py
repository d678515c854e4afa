"""What is known of a graph is found once, and never of another graph."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph, Node, Ref
from snnconv.graph.operators import Role


def graph(*nodes: Node, output: str, **constants: Tensor) -> Graph:
    return Graph({"x": ("batch", 4)}, constants, {node.name: node for node in nodes}, Ref(output))


def node(name: str, op: str, *refs: str, **arguments: Any) -> Node:
    keys = {"linear": ("input", "weight", "bias"), "matmul": ("self", "other")}.get(op, ("self",))
    return Node(name, op, {**dict(zip(keys, map(Ref, refs), strict=False)), **arguments}, (2, 4))


WEIGHT = torch.eye(4)
NETWORK = graph(
    node("doubled", "matmul", "weight", "weight"),
    node("current", "linear", "x", "doubled", bias=None),
    node("active", "relu", "current"),
    node("pooled", "amax", "active", dim=[1], keepdim=True),
    node("product", "matmul", "active", "pooled"),
    node("flat", "relu", "weight"),
    node("scores", "matmul", "product", "flat"),
    output="scores",
    weight=WEIGHT,
)


def test_every_question_has_its_answer() -> None:
    found = analysis_of(NETWORK)
    assert found.signals == {"x", "current", "active", "pooled", "product", "scores"}
    assert list(found.populations) == ["active"]
    assert list(found.gates) == ["pooled"]
    assert found.stations == ("active", "pooled", "product")
    assert found.readout == set()
    assert found.consumers["active"] == ("pooled", "product")
    assert found.consumers["weight"] == ("doubled", "flat")
    assert found.consumers["scores"] == ("output",)
    roles = {name: found.role(name) for name in NETWORK.nodes}
    assert roles["doubled"] is roles["flat"] is Role.CONSTANT
    assert roles["current"] is Role.LINEAR


@pytest.mark.parametrize(
    ("left", "right", "role"),
    [
        ("weight", "weight", Role.CONSTANT),
        ("x", "weight", Role.LINEAR),
        ("weight", "x", Role.LINEAR),
        ("x", "x", Role.READOUT),
    ],
)
def test_what_a_node_is_depends_on_which_of_its_arguments_carry_signals(left: str, right: str, role: Role) -> None:
    assert analysis_of(graph(node("y", "matmul", left, right), output="y", weight=WEIGHT)).role("y") is role


def test_answers_are_found_once_and_belong_to_one_graph() -> None:
    assert analysis_of(NETWORK) is analysis_of(NETWORK)
    silent = {name: replace(each, op="neg") if name == "active" else each for name, each in NETWORK.nodes.items()}
    assert list(analysis_of(replace(NETWORK, nodes=silent)).populations) == []
    assert list(analysis_of(NETWORK).populations) == ["active"]


def test_a_graph_cannot_be_changed_behind_its_answers() -> None:
    nodes = dict(NETWORK.nodes)
    own = replace(NETWORK, nodes=nodes)
    nodes.clear()
    assert own.nodes == NETWORK.nodes
    for change in (
        lambda: own.nodes.update(active=own.nodes["current"]),  # type: ignore[attr-defined]
        lambda: own.constants.pop("weight"),  # type: ignore[attr-defined]
        lambda: setattr(own, "output", Ref("active")),
    ):
        with pytest.raises((AttributeError, FrozenInstanceError)):
            change()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda graph: pickle.loads(pickle.dumps(graph))])
def test_a_copy_is_the_same_graph(copied: Any) -> None:
    other = copied(NETWORK)
    assert other is not NETWORK
    assert other.nodes == NETWORK.nodes
    assert other.inputs == NETWORK.inputs
    assert (other.output, other.batch_axis, other.parameters) == (NETWORK.output, 0, frozenset())
    assert torch.equal(other.constants["weight"], WEIGHT)
    assert analysis_of(other) == analysis_of(NETWORK)
