"""Products of two signals: where they can be, and how many pairs of spikes meet in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from coding import Pipeline, Schedule
from snnconv.errors import ConfigurationError
from snnconv.graph.graph import Graph, map_refs
from snnconv.graph.interpreter import Environment
from snnconv.graph.operators import OPERATORS, carried
from snnconv.graph.operators.bilinear import operands
from snnconv.spiking.execution_plan import ExecutionPlan, Route


def check_products(graph: Graph, execution_plan: ExecutionPlan, schedule: Schedule) -> None:
    """Raise ``ConfigurationError`` for products of two signals under a ``schedule`` that has no form for them.

    And where a product or a gate would take what a product makes, which is no spikes.
    """
    for name in execution_plan.products:
        node = graph.nodes[name]
        if not isinstance(schedule, Pipeline):
            raise ConfigurationError(
                f"{name} ({node.source}) multiplies two signals, which has no form in a stream, where both "
                "are said again and again; use schedule=Pipeline(), with any code that has windows, such as few-spike"
            )
    for gate, route in {**execution_plan.routes, **execution_plan.product_routes}.items():
        if not route.candidates.isdisjoint(execution_plan.products):
            raise ConfigurationError(f"{gate} takes currents of a product, and needs spikes: convert the model again")


class Meetings:
    """Pairs of spikes that meet in the products of a network, in one batch.

    ``spikes`` are those of every neuron of the sources of products, over all steps ``[N, ...]``, by node; they may grow
    until pairs are asked for. ``surroundings`` hold what does not change with time, ``offsets`` what a source delivers
    without spikes, where that is not nothing.
    """

    def __init__(
        self,
        execution_plan: ExecutionPlan,
        spikes: Mapping[str, Tensor],
        surroundings: Environment,
        offsets: Mapping[str, Tensor],
    ) -> None:
        self._plan, self._spikes, self._surroundings, self._offsets = execution_plan, spikes, surroundings, offsets

    def pairs(self, product: str) -> Tensor:
        """Pairs that add to each element of the result of ``product``.

        A spike meets every spike of the other operand that stands for a factor of its own. A constant part of an
        operand counts as one spike that is there from the start; two constants are multiplied before step 0.
        """
        route, operator = self._plan.product_routes[product], self._plan.products[product]
        constants, counts = self._constants(route), self._counts(route)
        slots = {key: route.gate.arguments[key].name for key in operands(route.gate)}
        fixed = {key: constants[name] for key, name in slots.items()}
        found: Tensor = operator.evaluate({key: constants[name] + counts[name] for key, name in slots.items()})
        met: Tensor = found - operator.evaluate(fixed)
        return met

    def total(self, product: str, largest: int) -> float:
        """The sum of ``pairs`` if a neuron fires ``largest`` times at most; the pairs themselves are never made."""
        route, operator = self._plan.product_routes[product], self._plan.products[product]
        slots = {key: route.gate.arguments[key].name for key in operands(route.gate)}
        if route.only_moves and route.candidates <= self._plan.populations:
            moved = self._arrived(route, {name: self._spikes[name] for name in route.candidates})
            return operator.total({key: moved[name] for key, name in slots.items()}, largest)
        constants, counts = self._constants(route), self._counts(route)
        met = operator.total({key: constants[name] + counts[name] for key, name in slots.items()}, math.inf)
        return met - operator.total({key: constants[name] for key, name in slots.items()}, 1.0)

    def _counts(self, route: Route) -> Environment:
        """Spikes that arrive at each element of the operands, with every weight one."""
        sent: Environment = {}
        for name in route.candidates:
            spikes = self._spikes.get(name)
            sent[name] = torch.zeros_like(self._surroundings[name]) if spikes is None else spikes
            sent[name] = sent[name].double()
        return self._arrived(route, sent)

    def _arrived(self, route: Route, sent: Environment) -> Environment:
        """What arrives of what the candidates ``sent``, with every weight one."""
        values: Environment = {**self._surroundings, **sent}
        signals = {name for name in route.candidates} | {node.name for node in route.nodes}
        for node in route.nodes:
            arguments = {key: map_refs(value, lambda ref: values[ref.name]) for key, value in node.arguments.items()}
            values[node.name] = OPERATORS[node.op].paths(arguments, carried(node, signals))
        return values

    def _constants(self, route: Route) -> Environment:
        """1 for each element of the operands that is something while no spike has come, else 0."""
        values: Environment = {**self._surroundings, **{name: self._silent(name) for name in route.candidates}}
        route.whole.run(values)
        return {name: values[name].ne(0).double() for name in route.gate.refs()}

    def _silent(self, name: str) -> Any:
        """What a source delivers while no spike has come."""
        if name in self._offsets:
            return self._offsets[name]
        if name in self._plan.gates:
            route = self._plan.routes[name]
            values = {**self._surroundings, **{each: self._silent(each) for each in route.candidates}}
            route.whole.run(values)
            arguments = {
                key: map_refs(value, lambda ref: values[ref.name]) for key, value in route.gate.arguments.items()
            }
            return self._plan.gates[name].evaluate(arguments)
        spikes = self._spikes.get(name)
        return self._surroundings[name] if spikes is None else torch.zeros_like(spikes)
