"""Chains of operations on one signal that are not piecewise linear become one function each, for a table."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

import torch

from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError
from snnconv.errors import ConfigurationError
from snnconv.graph.graph import Argument, Graph, Node, Ref
from snnconv.graph.operators import OPERATORS, Role
from snnconv.graph.operators.choice import Comparison
from snnconv.graph.operators.expression import Expression, expression
from snnconv.graph.operators.look_up import Logic
from snnconv.graph.operators.roles import before_stations, classify

_TOO_MUCH = (
    "write the function in fewer operations, (1 + x) ** 3 and not its expansion, or put what stays a signal between: a "
    "weighted layer takes one table's values to the next"
)
#: Roles of operations that are converted as they are.
_PLAIN = frozenset({Role.LINEAR, Role.SELECTION, Role.ACTIVATION})


def functions_as_tables(graph: Graph, real_valued: Set[str] = frozenset()) -> Graph:
    """Every function of one signal that weights or populations depend on, and that has bends, as one node.

    Weighted operations that are ``real_valued`` by leave are none of these.

    All that leads element by element from one signal to the function is part of it, in as few tables as there are
    values that something else uses: ``x * sigmoid(x)`` is one, and so is ``0.5 * x * (1 + tanh(c * (x + d * x**3)))``.
    What is linear behind the last bend stays what it is. Functions that only the output depends on stay too. Raises
    ``UnsupportedModelError`` with the place of a function that is no table, such as one of too many operations.
    """
    return _Chains(graph).rewritten(real_valued)


def variables_of(graph: Graph) -> Mapping[str, str]:
    """Which signal every node is a function of, element by element, if it is one of a single signal."""
    return _Chains(graph).variable


class _Chains:
    """Which signal every node is a function of, element by element, and which of these functions bend."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.signals = graph.signals()
        self.variable: dict[str, str] = {}
        self.bent: set[str] = set()
        self.roles: dict[str, Role] = {}
        for node in graph.nodes.values():
            if node.name in self.signals:
                self._take(node)

    def _take(self, node: Node) -> None:
        role = self.roles[node.name] = classify(node, self.signals).role
        variables = {self.variable.get(name, name) for name in node.refs() if name in self.signals}
        operator = OPERATORS.get(node.op)
        if operator is None or not operator.pointwise or len(variables) != 1:
            return
        others = (value for value in node.arguments.values() if not self._is_signal(value))
        if any(self._number(value) is None for value in others if isinstance(value, Ref)):
            return
        self.variable[node.name] = variables.pop()
        if role not in _PLAIN or not self.bent.isdisjoint(node.refs()):
            self.bent.add(node.name)

    def _is_signal(self, value: Argument) -> bool:
        return isinstance(value, Ref) and value.name in self.signals

    def _number(self, value: Ref) -> float | None:
        """The number that a constant holds; ``None`` where it holds several, or a condition."""
        tensor = self.graph.constants.get(value.name)
        return None if tensor is None or tensor.dim() > 0 or tensor.dtype is torch.bool else float(tensor)

    def rewritten(self, real_valued: Set[str]) -> Graph:
        tables: set[str] = set()
        needed, spiking = before_stations(self.graph, self.signals, real_valued)
        pending = [name for name in self.bent & needed if self._used_elsewhere(name)]
        if not pending and not spiking:  # what the output is made of alone is all that can spike
            pending = [name for name in self.bent if self._used_elsewhere(name)]
        while pending:
            name = pending.pop()
            if name not in self.bent or name in tables:
                continue
            if self.roles[name] is Role.LINEAR:
                pending.extend(self.graph.nodes[name].refs())
            elif not isinstance(OPERATORS[self.graph.nodes[name].op], (Comparison, Logic)):  # whose result is no number
                tables.add(name)
        if not tables:
            return self.graph
        nodes = {node.name: self._table(node) if node.name in tables else node for node in self.graph.nodes.values()}
        return replace(self.graph, nodes=nodes).without_dead_nodes()

    def _used_elsewhere(self, name: str) -> bool:
        """Whether something that is no function of the same signal depends on it."""
        users = self.graph.consumers()[name]
        return any(self.variable.get(user) != self.variable[name] for user in users)

    def _table(self, node: Node) -> Node:
        steps: list[tuple[str, dict[str, Any]]] = []
        numbers = {self.variable[node.name]: 0}

        def visit(name: str) -> None:
            if name in numbers:
                return
            each = self.graph.nodes[name]
            for ref in each.refs():
                if ref in self.signals:
                    visit(ref)
            steps.append((each.op, {key: argument(value) for key, value in each.arguments.items()}))
            numbers[name] = len(steps)

        def argument(value: Argument) -> Any:
            if not isinstance(value, Ref):
                return value
            return Expression.result(numbers[value.name]) if value.name in numbers else self._number(value)

        visit(node.name)
        signal, text = Ref(self.variable[node.name]), Expression.text_of(steps)
        try:
            expression(text)
        except ConfigurationError as error:
            problem = Problem(node.op, node.source, str(error), _TOO_MUCH)
            raise UnsupportedModelError(Preflight((), (problem,))) from error
        return replace(node, op="tabulated", arguments={"self": signal, "function": text})
