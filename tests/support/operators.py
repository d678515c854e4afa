"""Functions as modules, and many operators captured at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from snnconv.capture.translation import capture
from snnconv.graph.graph import Graph
from snnconv.graph.operators import Role
from snnconv.graph.operators.roles import classify


class Apply(nn.Module):
    """A function as a module; ``c`` is a constant of the network."""

    c: Tensor

    def __init__(self, function: Callable[..., Any], constant: Tensor | None = None) -> None:
        super().__init__()
        self.function = function
        if constant is not None:
            self.register_buffer("c", constant)

    def forward(self, x: Tensor) -> Any:
        return self.function(x, self.c) if hasattr(self, "c") else self.function(x)


class Branches(nn.Module):
    """Modules side by side on one input: many operators for the price of one capture."""

    def __init__(self, modules: list[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(branch(x) for branch in self.branches)


def capture_each(modules: list[nn.Module], example: Tensor) -> list[Graph]:
    graph = capture(Branches(modules), (example,))
    return [replace(graph, output=branch).without_dead_nodes() for branch in graph.output]


def assert_affine(graph: Graph) -> None:
    """Every node is affine or a constant, and not all are constants."""
    signals = graph.signals()
    roles = {classify(node, signals).role for node in graph.nodes.values()}
    assert roles <= {Role.LINEAR, Role.SELECTION, Role.CONSTANT}
    assert roles & {Role.LINEAR, Role.SELECTION}
