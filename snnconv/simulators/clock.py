"""The clock simulator: the reference, one time step at a time, as hardware would run the network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from coding import Concurrent
from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError
from snnconv.interpreter import Environment, Handler, laid_out
from snnconv.population import Population
from snnconv.simulators.observers import Observer, Samples

if TYPE_CHECKING:
    from snnconv.network import SpikingNetwork

_logger = logging.getLogger(__name__)

#: Decides which samples may stop: (decoded output, steps run) -> bool [N].
Stop = Callable[[Any, int], Tensor]

#: Membrane potentials of the widest population that are advanced together on a CPU, so that they stay in its caches.
CACHED_POTENTIALS = 2**19


class Clock:
    """Simulates a network step by step; memory does not grow with the number of steps."""

    def __init__(self, network: SpikingNetwork, *, steps: int | None, stop: Stop | None, seed: int | None) -> None:
        self.network = network
        self.steps = (network.plan.schedule if steps is None else Concurrent(steps)).steps
        self.stop = stop
        if stop is not None and network.batch_axis is None:
            raise ConfigurationError("early stopping needs a network with a batch axis")
        if seed is not None and not isinstance(seed, int):
            raise ConfigurationError(f"seed must be a whole number, got {seed!r}")
        # Without a seed torch's own generator gives one, so that torch.manual_seed fixes spikes too.
        own = int(torch.randint(2**62, ())) if seed is None and network.plan.input.spiking else seed or 0
        self.generator = torch.Generator(network.like.device).manual_seed(own)

    def run(self, inputs: Inputs, observers: Sequence[Observer]) -> tuple[Any, Tensor]:
        """Decoded output of the batch and the time steps that each sample took, ``[N]``."""
        samples = 1 if self.network.batch_axis is None else inputs[0].shape[0]
        for observer in observers:
            observer.begin(samples)
        size = self._chunk_size(samples)
        outputs, lengths = [], []
        with torch.no_grad():
            for start in range(0, samples, size):
                chunk = inputs if samples == 1 else tuple(tensor[start : start + size] for tensor in inputs)
                output, taken = _Chunk(self, chunk, start, observers).run()
                outputs.append(output)
                lengths.append(taken)
        if len(outputs) == 1:
            return outputs[0], lengths[0]
        return tree_map(lambda *parts: torch.cat(parts), *outputs), torch.cat(lengths)

    def _chunk_size(self, samples: int) -> int:
        if self.network.like.device.type != "cpu":
            return samples
        widest = max(population.neurons for population in self.network.populations.values())
        chunks = -(-samples * widest // CACHED_POTENTIALS)
        return -(-samples // min(chunks, samples))  # of even length, so that none is too short to be worth it


class _Chunk:
    """The state of one chunk of samples on its way through time."""

    def __init__(self, clock: Clock, inputs: Inputs, first: int, observers: Sequence[Observer]) -> None:
        self.network, self.steps, self.stop = clock.network, clock.steps, clock.stop
        self.generator, self.observers = clock.generator, observers
        self.inputs = tuple(laid_out(tensor) for tensor in inputs)
        count = 1 if self.network.batch_axis is None else inputs[0].shape[0]
        self.samples = torch.arange(first, first + count, device=inputs[0].device)
        self.t = 0
        self.constants = self.network.constants
        self.states: dict[str, Any] = {}
        self.accumulated: dict[str, Tensor] = {}  # of the frontier and of the gates
        self.scales: dict[str, tuple[Tensor, Tensor]] = {}
        self.handlers: dict[str, Handler] = {
            node: self._population(node, population) for node, population in self.network.populations.items()
        }
        self.handlers.update({node: self._gate(node) for node in self.network.parts.gates})
        self._prepare()

    def run(self) -> tuple[Any, Tensor]:
        parts = self.network.parts
        finished: list[tuple[Any, Tensor, int]] = []
        watched = self.stop is not None or any(observer.wants_output for observer in self.observers)
        for t in range(self.steps):
            self.t = t
            environment = dict(self.setup)
            environment.update(self._encoded())
            parts.step.run(environment, self.handlers)
            for name in parts.frontier:
                self._accumulate(name, environment[name])
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

    @property
    def positions(self) -> Samples:
        """Where in the batch the running samples are; everything, for a network without a batch axis."""
        return slice(None) if self.network.batch_axis is None else self.samples

    def _prepare(self) -> None:
        """Evaluate what does not change with time for the samples that are running."""
        self.setup: Environment = {**self.constants, **dict(zip(self.network.graph.inputs, self.inputs, strict=True))}
        self.network.parts.setup.run(self.setup)

    def _encoded(self) -> Mapping[str, Tensor]:
        code = self.network.plan.input
        if not code.spiking:
            return {}
        encoded = {}
        names = self.network.graph.inputs
        for position, (name, values) in enumerate(zip(names, self.inputs, strict=True)):
            low, high = self.network.input_ranges[position]
            if self.t == 0 and bool(((values < low) | (values > high)).any()):
                _logger.warning(
                    "input %d leaves the range seen in calibration, and spikes cannot say so: it is cut off", position
                )
            spikes = code.payload((values - low) / (high - low), self.t, self.generator)
            for observer in self.observers:
                observer.input(spikes, position)
            encoded[name] = low + spikes * (high - low)
        return encoded

    def _population(self, node: str, population: Population) -> Handler:
        neuron, observers = population.neuron, self.observers
        own_current = node in self.network.parts.own_currents

        def advance(arguments: Mapping[str, Any]) -> Tensor:
            current = arguments["self"]
            if node not in self.states:
                scale = population.broadcast_scale(current.dim())
                self.scales[node] = (scale, 1.0 / scale)
                self.states[node] = neuron.initial(current)
            scale, gain = self.scales[node]
            current = current if own_current else current.clone()
            payload, self.states[node] = neuron.step(current, self.states[node], self.t, gain)
            for observer in observers:
                observer.payload(node, self.t, payload, self.positions)
            return payload.mul_(scale)

        return advance

    def _gate(self, node: str) -> Handler:
        """Lets a spike through if it raises the largest accumulated payload of its window, and by as much.

        What has passed is then at every step the maximum of what has arrived, so decoded values are pooled exactly.
        """
        operator = self.network.parts.gates[node]
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
        for name in self.network.parts.frontier:
            environment[name] = self.network.plan.schedule.decode(self.accumulated[name], self.t + 1)
        return self.network.parts.decode(environment)

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
