"""What follows from the structure of a graph alone: its signals, and what every node is to the spiking network."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from snnconv.graph.graph import Graph, refs_in
from snnconv.graph.operators import OPERATORS, Classification, Role
from snnconv.graph.operators.activation import ActivationOperator
from snnconv.graph.operators.bilinear import BilinearOperator
from snnconv.graph.operators.pooling import MaximumOperator
from snnconv.graph.operators.roles import classifications


@dataclass(frozen=True)
class Analysis:
    """Answers about one graph, every collection in order of execution; nothing here may be changed.

    ``signals`` name what depends on the value of an input. ``classifications`` say what every node is, given which of
    its arguments carry signals. ``populations``, ``gates`` and ``products`` are the activations, the maxima over
    signals and the products of two signals, with their operators; together they are the ``stations``, at which one
    affine region ends and the next begins.
    ``before_stations`` names all that some station depends on.
    ``readout`` names what runs on decoded values: operations that are not affine behind the last station, and all that
    uses their results; ``decoded`` names what they and the output use of all else, constants included. Weighted
    operations among them are analog: they stay real-valued. ``analog`` maps every
    operation that is not affine to those that it makes analog, itself among them where it is weighted; what stands
    before a station is none. ``consumers`` are the nodes that use the result of a node, input or constant ("output"
    stands for the output).
    """

    signals: frozenset[str]
    classifications: Mapping[str, Classification]
    populations: Mapping[str, ActivationOperator]
    gates: Mapping[str, MaximumOperator]
    products: Mapping[str, BilinearOperator]
    before_stations: frozenset[str]
    readout: frozenset[str]
    decoded: tuple[str, ...]
    analog: Mapping[str, tuple[str, ...]]
    consumers: Mapping[str, tuple[str, ...]]

    @property
    def stations(self) -> tuple[str, ...]:
        """Populations, gates and products in order of execution."""
        found = self.populations.keys() | self.gates.keys() | self.products.keys()
        return tuple(name for name in self.classifications if name in found)

    @property
    def analog_operations(self) -> tuple[str, ...]:
        """Weighted operations that stay real-valued, in order of execution."""
        found = {name for behind in self.analog.values() for name in behind}
        return tuple(name for name in self.classifications if name in found)

    def role(self, node: str) -> Role:
        """What ``node`` is to the spiking network."""
        return self.classifications[node].role


def analysis_of(graph: Graph) -> Analysis:
    """The answers about ``graph``, found once: the graph keeps them, and a rewritten one is another graph."""
    return graph.derived(_analyse)


def _analyse(graph: Graph) -> Analysis:
    signals = frozenset(graph.signals())
    roles = classifications(graph, signals)
    populations: dict[str, ActivationOperator] = {}
    gates: dict[str, MaximumOperator] = {}
    products: dict[str, BilinearOperator] = {}
    readout: set[str] = set()
    for node in graph.nodes.values():
        found = roles[node.name]
        operator = OPERATORS.get(node.op)
        if found.role is Role.READOUT or not readout.isdisjoint(node.refs()):
            readout.add(node.name)
        if found.role is Role.ACTIVATION and isinstance(operator, ActivationOperator):
            populations[node.name] = operator
        elif found.role is Role.POOL and isinstance(operator, MaximumOperator):
            gates[node.name] = operator
        elif found.role is Role.PRODUCT and isinstance(operator, BilinearOperator):
            products[node.name] = operator
    consumers = {name: tuple(users) for name, users in graph.consumers().items()}
    stations = {*populations, *gates, *products}
    before = _before(stations, graph)
    analog = _analog(graph, signals, roles, before | stations)
    used = [name for node in graph.nodes.values() if node.name in readout for name in node.refs()]
    decoded = tuple(dict.fromkeys(name for name in (*used, *refs_in(graph.output)) if name not in readout))
    return Analysis(
        signals, roles, populations, gates, products, before, frozenset(readout), decoded, analog, consumers
    )


def _analog(
    graph: Graph, signals: frozenset[str], roles: Mapping[str, Classification], spiking: Set[str]
) -> dict[str, tuple[str, ...]]:
    """Weighted operations behind every operation that is not affine; none of ``spiking``."""
    nodes = [node for node in graph.nodes.values() if node.name in signals]
    tail = [node for node in nodes if node.name not in spiking]
    weighted = [node.name for node in tail if node.op in OPERATORS and OPERATORS[node.op].weighted]
    places = {name: place for place, name in enumerate(weighted)}
    behind = dict.fromkeys(signals, 0)  # sets of places, as the bits of a number
    for node in reversed(tail):
        if node.name in places:
            behind[node.name] |= 1 << places[node.name]
        for name in signals.intersection(node.refs()):
            behind[name] |= behind[node.name]
    found = {}
    for node in nodes:
        if roles[node.name].role is Role.READOUT and behind[node.name]:
            found[node.name] = tuple(name for name in weighted if behind[node.name] >> places[name] & 1)
    return found


def _before(stations: Set[str], graph: Graph) -> frozenset[str]:
    """Names of what some station depends on."""
    found: set[str] = set()
    for node in reversed([*graph.nodes.values()]):
        if node.name in found or node.name in stations:
            found.update(node.refs())
    return frozenset(found)
