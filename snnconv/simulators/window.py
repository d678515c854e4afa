"""The window simulator: the closed form of a pipeline, one forward pass however long its windows are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError
from snnconv.graph.interpreter import Environment, Handler, Program
from snnconv.graph.operators.activation import activation_at
from snnconv.graph.operators.bilinear import BilinearOperator
from snnconv.graph.operators.pooling import MaximumOperator
from snnconv.kernels.neuron_weights import NeuronWeights
from snnconv.kernels.window_sums import Sums, summed
from snnconv.simulators.observers import Observer
from snnconv.simulators.simulator import Chunk, Passed, Simulator
from snnconv.simulators.window_trains import PopulationWindow
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.population import Population
from snnconv.spiking.products import Meetings


class Window(Simulator):
    """Simulates a pipeline by evaluating every population's whole window at once."""

    name: ClassVar[str] = "window"
    together: ClassVar[int] = 2**21

    def __init__(self, network: NetworkBase, **options: Any) -> None:
        super().__init__(network, **options)
        if not network.has_closed_form:
            raise ConfigurationError(
                "the window simulator needs a pipeline whose populations wait for their sources to end, and neurons "
                f"with a closed form; this network runs under {network.plan.schedule}: use simulator='clock'"
            )

    def run_chunk(
        self, inputs: Inputs, first: int, observers: Sequence[Observer], passed: Passed, before: int
    ) -> tuple[Any, Tensor]:
        return WindowChunk(self, inputs, first, observers, before).run(passed)


class WindowChunk(Chunk):
    """Samples whose populations settle their whole windows at once."""

    def __init__(
        self, simulator: Window, inputs: Inputs, first: int, observers: Sequence[Observer], before: int = 0
    ) -> None:
        super().__init__(simulator, inputs, first, observers, before)
        self.counting = [observer for observer in observers if observer.of_windows == "sums"]
        self.counted = bool(self.counting)
        self.everything = [observer for observer in observers if observer.of_windows == "everything"]
        self.looking_up = [observer for observer in observers if observer.wants_potentials]
        self.windows = simulator.network.windows
        #: Per population that a gate chooses from its potentials in the network's units; its spikes, and those of what
        #: a product multiplies, if they are counted.
        self.potentials: dict[str, Tensor] = {}
        self.spikes: dict[str, Tensor] = {}
        self.multiplied = self.execution_plan.multiplied if self.counted else set()

    def run(self, passed: Passed | None = None) -> tuple[Any, Tensor]:
        environment: Environment = {**self.network.constants, **self._encoded()}
        self.environment = environment
        self.execution_plan.setup.run(environment)
        self.execution_plan.step.run(environment, self.handlers())
        for name in self.execution_plan.decoded_sums:
            environment[name] = self._read(name, environment[name])
        output = self.execution_plan.decode(environment)
        for observer in self.observers:
            if observer.wants_output:
                observer.output(self.steps - 1, output, self.positions)
        return output, torch.full_like(self.samples, self.steps)

    def _encoded(self) -> dict[str, Tensor]:
        code, given = self.network.plan.input.code, self.given()
        if code is None:
            return given
        encoded = {name: given[name] for name in self.network.graph.masks}
        for position, name in enumerate(self.network.graph.inputs):
            seen, values = self.network.input_ranges[position], self.normalized_input(position)
            found = code.quantize(values)
            assert found.spikes is not None
            for observer in self.observers:
                observer.input(found.spikes, position)
            encoded[name] = seen.restore(found.values)
            if name in self.execution_plan.pooled:
                self.potentials[name], self.spikes[name] = seen.restore(values), found.spikes
            if name in self.multiplied:
                self.spikes[name] = found.spikes
        return encoded

    def population(self, node: str, population: Population) -> Handler:
        windows, operator = self.windows[node], activation_at(self.network.graph.nodes[node])
        own = node in self.execution_plan.own_currents | self.execution_plan.ratios.keys()
        looked_up = population.tables is not None and self.looking_up
        if node in self.execution_plan.pooled or node in self.multiplied | self.left.keys() or self.everything:
            return partial(self._whole, node, population, own and node not in self.execution_plan.pooled)
        weights = self._weights(node)

        def fire(arguments: Mapping[str, Any]) -> Tensor:
            current = self._read(node, operator.current(arguments))
            if looked_up:
                self._look_up(node, windows.normalised(current))
            if not self.counted:
                return windows.decode(current, own)
            found = windows.sum(current, self._batched, weights, own=own)
            self._sum(node, found.sums, current.numel())
            return found.decoded

        return fire

    def _read(self, node: str, current: Tensor) -> Tensor:
        """``current`` of all windows that reach ``node``, as crossbars read it."""
        return current if self.reads is None else self.reads.window(node, current, self.draws)

    def _whole(self, node: str, population: Population, own: bool, arguments: Mapping[str, Any]) -> Tensor:
        """What a population sends whose windows somebody wants to see neuron by neuron."""
        current = self._read(node, activation_at(self.network.graph.nodes[node]).current(arguments))
        windows, weights = self.windows[node], self._weights(node)
        if population.tables is not None and self.looking_up:
            self._look_up(node, windows.normalised(current))
        spikes: Tensor | None = None
        if self.everything:
            found, decoded = windows.settle(current, counted=True)
            spikes = found.spikes
            for observer in self.everything:
                train = PopulationWindow(population, windows.normalised(current), found)
                observer.window(node, train, self.positions)
            if self.counted:
                self._sum(node, summed(found, self._batched, weights), current.numel())
        elif self.counted:
            decoded, sums, spikes = windows.sum(current, self._batched, weights, own=own, by_neuron=True)
            self._sum(node, sums, current.numel())
        else:
            decoded = windows.decode(current)
        if spikes is not None and node in self.left:
            for observer in self.observers:
                observer.window_through_masks(node, spikes)
        pooled = node in self.execution_plan.pooled
        if spikes is not None and (pooled or node in self.multiplied):
            self.spikes[node] = spikes
        if pooled:
            self.potentials[node] = windows.shifted(current)
        return decoded

    @property
    def _batched(self) -> bool:
        return self.network.batch_axis is not None

    def _weights(self, node: str) -> tuple[NeuronWeights, ...]:
        return tuple(dict.fromkeys(each for observer in self.counting for each in observer.weights(node)))

    def _look_up(self, node: str, potentials: Tensor) -> None:
        for observer in self.looking_up:
            observer.looked_up(node, potentials, self.positions)

    def _sum(self, node: str, sums: Sums, neurons: int) -> None:
        for observer in self.counting:
            observer.window_sums(node, sums, neurons)

    def gate(self, node: str, operator: MaximumOperator) -> Handler:
        """The window of the candidate with the largest potential: the one whose train comes last in the lexicon."""
        route = self.execution_plan.routes[node]

        def routed(program: Program, values: Mapping[str, Tensor]) -> Any:
            environment: Environment = {**self.environment, **values}
            program.run(environment)
            return environment[route.arriving]

        def gate(arguments: Mapping[str, Any]) -> Tensor:
            analog = {name: self.environment[name] for name in route.candidates - self.potentials.keys()}
            keys = {**arguments, "self": routed(route.whole, self.potentials)}
            places = operator.places(keys)
            if node in self.execution_plan.pooled:
                self.potentials[node] = operator.at(keys, places, keys["self"])
            if self.counted:
                silent = {name: torch.zeros_like(value) for name, value in analog.items()}
                spikes = operator.at(keys, places, routed(route.homogeneous, self.spikes | silent))
                if node in self.execution_plan.pooled | self.multiplied:
                    self.spikes[node] = spikes
                for observer in self.observers:
                    observer.gated(node, spikes)
            self._forget(node)
            return operator.at(keys, places, arguments["self"])

        return gate

    def _forget(self, node: str) -> None:
        """Let potentials and spikes go that nobody takes behind ``node``: the next maps find their memory warm."""
        for held, last in (
            (self.potentials, self.execution_plan.last_potentials),
            (self.spikes, self.execution_plan.last_spikes),
        ):
            for source in last.get(node, ()):
                held.pop(source, None)

    def product(self, node: str, operator: BilinearOperator) -> Handler:
        """The product of what both operands were decoded to; who counts is told how many spikes met."""
        if not self.counted:
            return operator.evaluate

        def multiply(arguments: Mapping[str, Any]) -> Tensor:
            meetings = Meetings(self.execution_plan, self.spikes, self.environment, self.input_offsets())
            weights = self._weights(node)
            if node in self.left or any(each.uniform is None for each in weights):
                pairs = meetings.pairs(node)
                for observer in self.counting:
                    observer.product(node, pairs)
            else:
                total = meetings.total(node, self._most_spikes)
                for observer in self.counting:
                    observer.product_sum(node, total)
            self._forget(node)
            result: Tensor = operator.evaluate(arguments)
            return result

        return multiply

    @cached_property
    def _most_spikes(self) -> int:
        """How often a neuron fires at most."""
        return max(population.code.steps for population in self.network.populations.values())
