"""The nodes of a network by when they run, and who feeds whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph, Node, refs_in
from snnconv.graph.interpreter import Program, resolve
from snnconv.graph.operators import OPERATORS, Operator, Role
from snnconv.graph.operators.base import SelectionOperator
from snnconv.graph.operators.bilinear import BilinearOperator
from snnconv.graph.operators.pooling import MaximumOperator
from snnconv.graph.operators.ratio import RatioPopulation


@dataclass(frozen=True)
class LiveStep:
    """What runs in a time step in which only some sources may fire; everything else is silent by schedule.

    ``listening`` names the populations that currents reach, ``decoded_nodes`` the decoded results that change, and
    ``silent`` the signals that take part and are zero.
    """

    program: Program
    listening: frozenset[str]
    decoded_nodes: tuple[str, ...]
    silent: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """How a ``gate``, or a product, is reached by the spikes that it takes: through ``nodes`` from the ``candidates``.

    Candidates are populations, gates, spiking inputs, and what an analog input or a constant delivers. All nodes in
    front of a gate are selections, none in front of a product is weighted.
    """

    gate: Node
    nodes: tuple[Node, ...]
    candidates: frozenset[str]
    #: The nodes with the constants that they add, and without.
    whole: Program
    homogeneous: Program

    @property
    def arriving(self) -> str:
        """Name of what arrives at the gate."""
        return str(self.gate.arguments["self"].name)

    @cached_property
    def only_moves(self) -> bool:
        """Whether all on the way is what a candidate sends, and nothing is added to it."""
        operators = [OPERATORS[node.op] for node in self.nodes]
        return all(
            isinstance(each, SelectionOperator) and type(each).homogeneous is Operator.homogeneous for each in operators
        )


class ExecutionPlan:
    """The nodes of a graph by when they run: once a batch, once a time step, once on the decoded output.

    ``gates`` are the max-pooling nodes over spikes, ``products`` those that multiply two signals, ``ratios`` the
    populations that divide one by another. ``decoded_nodes`` are the results that are decoded: what the output and the
    readout operators use. Results that no spike reaches are computed once, so a constant input costs the first affine
    region once; ``analog`` names those that depend on it. ``sources`` says which spiking inputs and populations feed a
    population, ``decoded_sources`` which feed a decoded result, and ``output_sources`` which feed any of these.
    """

    def __init__(self, graph: Graph, populations: set[str], constant_input: bool) -> None:
        analysis = analysis_of(graph)
        self._signals = signals = analysis.signals
        self.populations = populations
        self._live: dict[frozenset[str], LiveStep] = {}
        timed: set[str] = set() if constant_input else set(graph.inputs)
        lists: dict[str, list[Node]] = {"setup": [], "step": [], "readout": []}
        self.gates: dict[str, MaximumOperator] = {}
        self.products: dict[str, BilinearOperator] = {}
        self.ratios: dict[str, RatioPopulation] = {}
        for node in graph.nodes.values():
            names = set(node.refs())
            if node.name in analysis.readout:
                lists["readout"].append(node)
            elif node.name in populations or (names & timed and node.name in signals):
                timed.add(node.name)
                lists["step"].append(node)
                if node.name in analysis.gates:
                    self.gates[node.name] = analysis.gates[node.name]
                if isinstance(operator := analysis.populations.get(node.name), RatioPopulation):
                    self.ratios[node.name] = operator
                if node.name in analysis.products:
                    self.products[node.name] = analysis.products[node.name]
            else:
                lists["setup"].append(node)
        computed = {node.name for node in lists["setup"] + lists["step"]} | set(graph.inputs)
        #: Populations whose current is a sum made for them alone, so that a neuron may reuse its storage.
        sums = {node.name for node in lists["step"] if analysis.role(node.name) is Role.LINEAR}
        currents = {node.name: node.arguments["self"].name for node in lists["step"] if node.name in populations}
        alone = {node for node, name in currents.items() if analysis.consumers[name] == (node,)}
        self.own_currents = {node for node in alone if currents[node] in sums}
        self.decoded_nodes = tuple(name for name in analysis.decoded if name in timed)
        #: Those at which currents arrive: the others are what neurons and gates send.
        self.decoded_sums = tuple(name for name in self.decoded_nodes if analysis.role(name) is Role.LINEAR)
        self._output = graph.output
        shared = {name for node in lists["step"] + lists["readout"] for name in node.refs()}
        self.setup = Program(lists["setup"], keep=shared.union(analysis.decoded) & computed)
        self.step = Program(lists["step"], keep=self.decoded_nodes)
        self.homogeneous_step = Program(lists["step"], keep=self.decoded_nodes, signals=signals)
        settled = {node.name for node in lists["setup"]} | (set(graph.taken) - timed)
        #: Whether all that steps take of what does not change with time are currents of populations.
        self.only_still_currents = not any(
            name in settled and (node.name not in currents or currents[node.name] != name)
            for node in lists["step"]
            for name in node.refs()
        )
        self.analog = {name for name in computed & signals if name not in timed}
        self.sources, self.decoded_sources = self._feeding(set(graph.inputs) & timed)
        self.output_sources = tuple(sorted(set().union(*self.decoded_sources.values())))
        self.readout = Program(lists["readout"], keep=set(refs_in(graph.output)))
        self.routes = {gate: self._route(gate) for gate in self.gates}
        self.product_routes = {product: self._route(product) for product in self.products}
        #: What some gate chooses from, and what some product multiplies, itself or what a gate chose from it.
        self.pooled = {name for route in self.routes.values() for name in route.candidates}
        self.multiplied = {name for route in self.product_routes.values() for name in route.candidates}
        for gate in reversed(self.gates):
            if gate in self.multiplied:
                self.multiplied |= self.routes[gate].candidates
        chosen_from = {gate: set(route.candidates) for gate, route in self.routes.items()}
        counted = chosen_from | {product: self._behind(route) for product, route in self.product_routes.items()}
        #: By gate and by product: of which sources no later one takes the potentials, or the spikes.
        self.last_potentials, self.last_spikes = self._taken_last(chosen_from), self._taken_last(counted)

    def _behind(self, route: Route) -> set[str]:
        """The candidates of a product's ``route``, and those from which gates among them choose."""
        found, pending = set[str](), [*route.candidates]
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending.extend(self.routes[name].candidates if name in self.routes else ())
        return found

    def _taken_last(self, taken: Mapping[str, Set[str]]) -> dict[str, list[str]]:
        """By name of who takes from sources: the sources from which it is the last to take."""
        last = {source: node.name for node in self.step.nodes for source in taken.get(node.name, ())}
        return {name: [source for source, taker in last.items() if taker == name] for name in taken}

    def decode(self, environment: dict[str, Any]) -> Any:
        """The network's output from an environment that holds the decoded nodes."""
        values = dict(environment)
        self.readout.run(values)
        return resolve(self._output, values)

    def _route(self, gate: str) -> Route:
        nodes = {node.name: node for node in self.step.nodes}
        pending, path, candidates = [ref for ref in nodes[gate].refs() if ref in self._signals], set(), set()
        while pending:
            name = pending.pop()
            if name in self.populations or name in self.gates or name in self.products or name not in nodes:
                candidates.add(name)
            elif name not in path:
                path.add(name)
                pending.extend(ref for ref in nodes[name].refs() if ref in self._signals)
        ordered = tuple(node for node in self.step.nodes if node.name in path)
        argument = [ref for ref in nodes[gate].refs() if ref in self._signals]
        whole, homogeneous = Program(ordered, argument), Program(ordered, argument, self._signals)
        return Route(nodes[gate], ordered, frozenset(candidates), whole, homogeneous)

    def _feeding(self, spiking_inputs: set[str]) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        reached: dict[str, set[str]] = {name: {name} for name in spiking_inputs}
        feeding: dict[str, tuple[str, ...]] = {}
        for node in self.step.nodes:
            found = set().union(*(reached.get(name, set()) for name in node.refs()))
            if node.name in self.populations:
                feeding[node.name] = tuple(sorted(found))
                found = {node.name}
            reached[node.name] = found
        return feeding, {name: tuple(sorted(reached.get(name, set()))) for name in self.decoded_nodes}

    def live(self, active: Iterable[str]) -> LiveStep:
        """The part of a step that spikes of the ``active`` sources reach, up to the next populations."""
        key = frozenset(active)
        if key not in self._live:
            self._live[key] = self._live_step(key)
        return self._live[key]

    def _live_step(self, active: frozenset[str]) -> LiveStep:
        live = {name for name in active if name not in self.populations}
        nodes: list[Node] = []
        listening: set[str] = set()
        for node in self.step.nodes:
            reached = any(name in live for name in node.refs())
            if node.name in self.populations:
                if reached:
                    listening.add(node.name)
                if node.name in active:
                    live.add(node.name)
            elif reached:
                live.add(node.name)
            if reached or node.name in active:
                nodes.append(node)
        decoded_nodes = tuple(name for name in self.decoded_nodes if name in live)
        used = {name for node in nodes for name in node.refs()}
        silent = tuple(sorted((used & self._signals) - live))
        return LiveStep(Program(nodes, decoded_nodes, self._signals), frozenset(listening), decoded_nodes, silent)
