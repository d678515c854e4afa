"""The clock under a concurrent schedule: all populations run at once, and every step carries an estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from neurons import BiasedNeuron, ScoringNeuron
from snnconv.data.batches import Inputs
from snnconv.graph.interpreter import Environment, Handler
from snnconv.graph.operators.pooling import MaximumOperator
from snnconv.simulators.observers import Observer
from snnconv.simulators.simulator import Chunk, Passed, Simulator
from snnconv.spiking.population import Population


class StreamChunk(Chunk):
    """The state of one chunk of samples on its way through time.

    A value is presented once in ``period`` steps. Constants that the network adds arrive with it, at the first of them;
    an analog input is spread over all of them.
    """

    def __init__(self, clock: Simulator, inputs: Inputs, first: int, observers: Sequence[Observer]) -> None:
        super().__init__(clock, inputs, first, observers)
        self.stop, self.generator = clock.stop, clock.generator
        self.t = 0
        self.period = self.network.period
        self.constants = self.network.constants
        self.states: dict[str, Any] = {}
        self.accumulated: dict[str, Tensor] = {}  # of the decoded_nodes and of the gates
        self.scales: dict[str, tuple[Tensor, Tensor]] = {}
        neurons = {node: population.neuron for node, population in self.network.populations.items()}
        self.scoring = {
            node: neuron
            for node, neuron in neurons.items()
            if node in self.execution_plan.decoded_nodes and isinstance(neuron, ScoringNeuron)
        }
        self._prepare()

    def run(self, passed: Passed | None = None) -> tuple[Any, Tensor]:
        handlers = self.handlers()
        finished: list[tuple[Any, Tensor, int]] = []
        watched = self.stop is not None or any(observer.wants_output for observer in self.observers)
        for t in range(self.steps):
            self.t = t
            begins = t % self.period == 0
            environment = dict(self.setup if begins else self.between)
            environment.update(self._encoded(begins))
            (self.execution_plan.step if begins else self.execution_plan.homogeneous_step).run(environment, handlers)
            for name in self.execution_plan.decoded_nodes:
                self._accumulate(name, environment[name])
            if passed is not None:
                passed(t + 1)
            if watched and self._after_step(finished):
                break
        if not finished:
            return self.decoded(), torch.full_like(self.samples, self.steps)
        if self.samples.numel():
            finished.append((self.decoded(), self.samples, self.t + 1))
        order = torch.cat([samples for _, samples, _ in finished]).argsort()
        output = tree_map(lambda *pieces: torch.cat(pieces)[order], *[output for output, _, _ in finished])
        lengths = torch.cat([torch.full_like(samples, taken) for _, samples, taken in finished])
        return output, lengths[order]

    def _prepare(self) -> None:
        """Evaluate what does not change with time for the samples that are running."""
        self.setup: Environment = {**self.constants, **self.given()}
        self.execution_plan.setup.run(self.setup)
        self.between = self.setup
        if self.period > 1:
            masks = self.network.graph.masks
            silent = {name: value if name in masks else torch.zeros_like(value) for name, value in self.given().items()}
            offset: Environment = {**self.constants, **silent}
            self.execution_plan.setup.run(offset)
            analog = [
                name
                for name in self.setup
                if name in self.execution_plan.analog and isinstance(self.setup[name], Tensor)
            ]
            share = {name: (self.setup[name] - offset[name]) / self.period for name in analog}
            self.between = {**self.setup, **share}
            self.setup = {**self.setup, **{name: share[name] + offset[name] for name in analog}}

    def _encoded(self, begins: bool) -> Mapping[str, Tensor]:
        code = self.network.plan.input
        if not code.spiking:
            return {}
        encoded = {}
        for position, name in enumerate(self.network.graph.inputs):
            seen = self.network.input_ranges[position]
            if self.t == 0:
                values = self.normalized_input(position)
                self.states[name] = (values, code.initial(values))
            values, state = self.states[name]
            payload, state = code.step(values, state, self.t, self.generator)
            self.states[name] = (values, state)
            for observer in self.observers:
                observer.input(payload.ne(0).to(payload.dtype), position)
            current = payload * (seen.span * (code.period / self.period))
            encoded[name] = current + seen.low if begins else current
        return encoded

    def population(self, node: str, population: Population) -> Handler:
        neuron, observers = population.neuron, self.observers
        biased = neuron if isinstance(neuron, BiasedNeuron) else None
        own_current = node in self.execution_plan.own_currents
        shifted = bool(population.shift.any())

        def advance(arguments: Mapping[str, Any]) -> Tensor:
            current = arguments["self"]
            if node not in self.states:
                scale = population.broadcast_scale(current.dim())
                self.scales[node] = (scale, 1.0 / scale)
                self.states[node] = neuron.initial(current)
            scale, inverse_scale = self.scales[node]
            current = current if own_current else current.clone()
            shifting = shifted and self.t % self.period == 0
            shift = population.broadcast(population.shift, current.dim()) if shifting else None
            if shift is not None and biased is not None:
                payload, self.states[node] = biased.biased_step(
                    current, self.states[node], self.t, inverse_scale, shift * inverse_scale
                )
            else:
                if shift is not None:
                    current += shift
                payload, self.states[node] = neuron.step(current, self.states[node], self.t, inverse_scale)
            for observer in observers:
                observer.payload(node, self.t, payload, self.positions)
            return payload.mul_(scale)

        return advance

    def gate(self, node: str, operator: MaximumOperator) -> Handler:
        """Lets a spike through if it raises the largest accumulated payload of its window, and by as much.

        What has passed is then at every step the maximum of what has arrived, so decoded values are pooled exactly.
        """
        arrived, passed = f"{node} arrived", f"{node} passed"

        def gate(arguments: Mapping[str, Any]) -> Tensor:
            self._accumulate(arrived, arguments["self"])
            maximum: Tensor = operator.evaluate({**arguments, "self": self.accumulated[arrived]})
            # Payloads raise or lower the maximum from 0, so at first what lies below 0 passes too.
            payload = maximum - self.accumulated[passed] if passed in self.accumulated else maximum
            self.accumulated[passed] = maximum
            for observer in self.observers:
                observer.gate(node, payload)
            return payload

        return gate

    def _accumulate(self, key: str, values: Tensor) -> None:
        if key in self.accumulated:
            self.accumulated[key].add_(values)
        else:
            self.accumulated[key] = values.clone()

    def decoded(self) -> Any:
        """The network's output from what has been accumulated so far."""
        environment = dict(self.setup)
        for name in self.execution_plan.decoded_nodes:
            if name in self.scoring:
                counts = self.accumulated[name] * self.scales[name][1]
                environment[name] = self.scoring[name].score(counts, self.states[name], self.t + 1)
            else:
                environment[name] = self.accumulated[name] / self.network.presentations(self.t + 1)
        return self.execution_plan.decode(environment)

    def _after_step(self, finished: list[tuple[Any, Tensor, int]]) -> bool:
        """Report the decoded output and take out the samples that stop; True when none is left."""
        output = self.decoded()
        for observer in self.observers:
            if observer.wants_output:
                observer.output(self.t, output, self.positions)
        if self.stop is None or self.t + 1 == self.steps:
            return False
        done = self.stop(output, self.t + 1)
        if not bool(done.any()):
            return False
        final, samples = tree_map(lambda part: part[done], output), self.samples[done]
        finished.append((final, samples, self.t + 1))
        for observer in self.observers:
            observer.stopped(self.t, final, samples)
        keep = ~done
        self.samples = self.samples[keep]
        if not self.samples.numel():
            return True
        self.inputs = tuple(tensor[keep] for tensor in self.inputs)
        self.states = tree_map(lambda part: part[keep] if isinstance(part, Tensor) else part, self.states)
        self.accumulated = {key: value[keep] for key, value in self.accumulated.items()}
        self._prepare()
        return False
