"""What rewrites share: nodes that become several, sums of currents, and constants that are one number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Argument, Graph, Node, Ref
from snnconv.graph.operators import OPERATORS, Role
from snnconv.graph.operators.tabulated import TabulatedFunction
from snnconv.graph.sparse import is_sparse


def expanded(graph: Graph, expand: Callable[[Node], Iterable[Node]]) -> Graph:
    """A copy in which ``expand`` gives the nodes that stand for each node."""
    nodes = (new for node in graph.nodes.values() for new in expand(node))
    return replace(graph, nodes={node.name: node for node in nodes})


class Parts:
    """Nodes that together compute what one node does; the last of them takes its name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._made: list[Node] = []

    def add(self, op: str, /, **arguments: Argument) -> Ref:
        """One more operation, and what stands for its result."""
        name = f"{self._node.name}_part{len(self._made)}"
        self._made.append(Node(name, op, arguments, source=self._node.source))
        return Ref(name)

    @property
    def nodes(self) -> list[Node]:
        """All of them, in order."""
        return [*self._made[:-1], replace(self._made[-1], name=self._node.name, shape=self._node.shape)]


def sums_currents(graph: Graph, names: Iterable[str]) -> bool:
    """Whether, from ``names`` back through selections, some signal is a sum of currents, not spikes or an input."""
    role = analysis_of(graph).role
    return any(role(node.name) in (Role.LINEAR, Role.PRODUCT) for node in _selected_from(graph, names))


def looked_up(graph: Graph, names: Iterable[str]) -> bool:
    """Whether, from ``names`` back through selections, some signal is spikes that are worth what a table holds."""
    return any(isinstance(OPERATORS[node.op], TabulatedFunction) for node in _selected_from(graph, names))


def _selected_from(graph: Graph, names: Iterable[str]) -> Iterator[Node]:
    """Nodes whose results reach ``names`` through selections alone."""
    analysis = analysis_of(graph)
    pending = [name for name in names if name in analysis.signals]
    while pending:
        node = graph.nodes.get(pending.pop())
        if node is None:
            continue
        if analysis.role(node.name) is Role.SELECTION:
            pending.extend(name for name in node.refs() if name in analysis.signals)
        else:
            yield node


def uniform_number(graph: Graph, value: Argument) -> float | None:
    """The number that a constant argument holds everywhere; ``None`` for any other argument."""
    if not isinstance(value, Ref):
        return float(value) if isinstance(value, (int, float)) else None
    made = graph.nodes.get(value.name)
    if made is not None and made.op in ("zeros", "ones", "full"):
        return uniform_number(graph, made.arguments.get("fill_value", float(made.op == "ones")))
    tensor = graph.constants.get(value.name)
    if tensor is None or is_sparse(tensor) or not tensor.numel() or bool((tensor != tensor.flatten()[0]).any()):
        return None
    return float(tensor.flatten()[0])
