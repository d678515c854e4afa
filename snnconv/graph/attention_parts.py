"""Which populations are the queries, keys, scores, weights and values of an attention, by what they lead to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph, Node
from snnconv.graph.operators.activation import IdentityPopulation
from snnconv.graph.operators.bilinear import operands
from snnconv.graph.operators.ratio import RatioPopulation
from snnconv.graph.operators.tabulated import TabulatedFunction


def attention_parts(graph: Graph) -> dict[str, str]:
    """What populations around every softmax are, by node: score, exp, query, key, value or normalised.

    A softmax is a maximum over scores whose difference from them is looked up; its scores may be a product of queries
    and keys, and its weights may multiply values.
    """
    analysis, found = analysis_of(graph), dict[str, str]()
    for gate in analysis.gates:
        scores = graph.nodes.get(graph.nodes[gate].arguments["self"].name)
        if scores is None or not isinstance(analysis.populations.get(scores.name), IdentityPopulation):
            continue
        tables = [name for name in _next(graph, scores.name) if isinstance(_operator(graph, name), TabulatedFunction)]
        if len(tables) != 1 or tables[0] not in _next(graph, gate):
            continue
        found[scores.name], found[tables[0]] = "score", "exp"
        for product in _before(graph, scores, "self"):
            if product in analysis.products:
                slots = zip(operands(graph.nodes[product]), ("query", "key"), strict=True)
                found |= {name: part for slot, part in slots for name in _relays(graph, graph.nodes[product], slot)}
        for station in _next(graph, tables[0]):
            node = graph.nodes[station]
            if isinstance(_operator(graph, station), RatioPopulation):
                found[station] = "normalised"
            elif station in analysis.products:
                others = [slot for slot in operands(node) if tables[0] not in _before(graph, node, slot)]
                found |= {name: "value" for slot in others for name in _relays(graph, node, slot)}
                ratios = [each for each in _next(graph, station) if isinstance(_operator(graph, each), RatioPopulation)]
                found |= dict.fromkeys(ratios, "normalised")
    return found


def _operator(graph: Graph, name: str) -> object:
    return analysis_of(graph).populations.get(name)


def _relays(graph: Graph, product: Node, slot: str) -> list[str]:
    populations = analysis_of(graph).populations
    return [name for name in _before(graph, product, slot) if isinstance(populations.get(name), IdentityPopulation)]


def _before(graph: Graph, node: Node, slot: str) -> set[str]:
    """Stations whose spikes reach ``node`` at ``slot``."""
    return set(_reached(graph, [node.arguments[slot].name], forward=False))


def _next(graph: Graph, station: str) -> set[str]:
    """Stations that spikes of ``station`` reach."""
    return set(_reached(graph, analysis_of(graph).consumers[station], forward=True))


def _reached(graph: Graph, names: Iterable[str], forward: bool) -> Iterator[str]:
    analysis = analysis_of(graph)
    stations, pending, seen = {*analysis.stations}, [*names], set[str]()
    while pending:
        name = pending.pop()
        if name in seen or name not in graph.nodes or name not in analysis.signals:
            continue
        seen.add(name)
        if name in stations:
            yield name
        else:
            pending.extend(analysis.consumers[name] if forward else graph.nodes[name].refs())
