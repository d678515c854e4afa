"""Spikes at products: populations of signed neurons where a product, or weights behind it, would meet currents."""

from __future__ import annotations

from collections.abc import Iterable

from snnconv.capture.expansion import expanded
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph, Node, Ref
from snnconv.graph.operators import OPERATORS, Role

RELAY = "relay_population"


def spikes_at_products(graph: Graph) -> Graph:
    """Insert relays, populations with the identity, in front of products and behind them.

    A product multiplies spikes: an operand that is a sum of currents behind weights is fired by a relay. What it makes
    of them are currents: where weights, a maximum or another product would take them, a relay stands right behind it.
    A sum or an average of spikes is spikes; so is an input, which is there from the start if it is real. Products of
    one current share its relay.
    """
    return _relayed_operands(_relayed_results(graph)) if analysis_of(graph).products else graph


def _relayed_results(graph: Graph) -> Graph:
    analysis = analysis_of(graph)
    taking: set[str] = set()  # nodes that are, or lead to, what must take spikes
    for node in reversed([*graph.nodes.values()]):
        if node.name not in analysis.signals - analysis.readout - analysis.populations.keys():
            continue
        itself = node.name in analysis.products or node.name in analysis.gates or OPERATORS[node.op].weighted
        if itself or not taking.isdisjoint(analysis.consumers[node.name]):
            taking.add(node.name)
    relayed = {name for name in analysis.products if not taking.isdisjoint(analysis.consumers[name])}

    def expand(node: Node) -> Iterable[Node]:
        if node.name in taking:
            node = node.mapped(lambda ref: Ref(_relay(ref.name)) if ref.name in relayed else ref)
        return [node, _population(graph, node.name)] if node.name in relayed else [node]

    return expanded(graph, expand)


def _relayed_operands(graph: Graph) -> Graph:
    analysis = analysis_of(graph)
    made: set[str] = set()

    def expand(node: Node) -> Iterable[Node]:
        if node.name not in analysis.products:
            return [node]
        currents = [name for name in dict.fromkeys(node.refs()) if _is_current(graph, name)]
        new = [_population(graph, name) for name in currents if name not in made]
        made.update(currents)
        return [*new, node.mapped(lambda ref: Ref(_relay(ref.name)) if ref.name in currents else ref)]

    return expanded(graph, expand)


def _is_current(graph: Graph, name: str) -> bool:
    """Whether weights stand between ``name`` and the stations and inputs before it."""
    analysis = analysis_of(graph)
    pending = [name]
    while pending:
        node = graph.nodes.get(pending.pop())
        if node is None or analysis.role(node.name) not in (Role.LINEAR, Role.SELECTION):
            continue
        if OPERATORS[node.op].weighted:
            return True
        pending.extend(ref for ref in node.refs() if ref in analysis.signals)
    return False


def _relay(current: str) -> str:
    return f"{current}_relay"


def _population(graph: Graph, current: str) -> Node:
    return Node(_relay(current), RELAY, {"self": Ref(current)}, None, graph.nodes[current].source)
