"""The clock under a concurrent schedule: all populations run at once, and every step carries an estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from neurons import ScoringNeuron
from snnconv.data.batches import Inputs
from snnconv.graph.interpreter import Environment, Handler, laid_out
from snnconv.graph.operators.pooling import MaximumOperator
from snnconv.kernels.stream_steps import Span, Steps
from snnconv.simulators.observers import Observer
from snnconv.simulators.simulator import Chunk, Passed, Simulator
from snnconv.spiking.population import Population


class StreamChunk(Chunk):
    """The state of one chunk of samples on its way through time.

    A value is presented once in ``period`` steps. Constants that the network adds arrive with it, at the first of them;
    an analog input is spread over all of them. Nothing flows back, so every node takes some steps before the next node
    does: they lie behind each other as if they were samples. Where samples may stop after a step it is one at a time.
    """

    #: Values of the widest population, over samples and steps, that are computed together.
    at_once: ClassVar[int] = 2**21

    def __init__(
        self, clock: Simulator, inputs: Inputs, first: int, observers: Sequence[Observer], before: int = 0
    ) -> None:
        super().__init__(clock, inputs, first, observers, before)
        self.stop = clock.stop
        self.t = 0
        self.period = self.network.period
        self.constants = self.network.constants
        self.states: dict[str, Any] = {}
        self.accumulated: dict[str, Tensor] = {}  # of the decoded_nodes and of the gates
        self.populations = {
            node: Steps(population.neuron, population.channel_axis, population.scale, population.shift, self._batched)
            for node, population in self.network.populations.items()
        }
        self.scoring = {
            node: steps.neuron
            for node, steps in self.populations.items()
            if node in self.execution_plan.decoded_nodes and isinstance(steps.neuron, ScoringNeuron)
        }
        self.watched = self.stop is not None or any(observer.wants_output for observer in observers)
        #: Observers that follow every step, and those that are content with sums over some steps.
        # What masks leave differs from sample to sample, so that sums over samples do not do.
        summing = [observer for observer in observers if observer.of_windows == "sums" and not observer.follows_steps]
        self.counting = [] if self.left else summing
        self.following = [observer for observer in observers if observer.follows_steps] + (summing if self.left else [])
        self._prepared: dict[int, tuple[Environment, Environment]] = {}

    @property
    def _batched(self) -> bool:
        return self.network.batch_axis is not None

    def run(self, passed: Passed | None = None) -> tuple[Any, Tensor]:
        handlers = self.handlers()
        finished: list[tuple[Any, Tensor, int]] = []
        together, ended = self._together(), False
        while self.t < self.steps and not ended:
            self.span = span = self._span(together)
            setup, between = self._presented(1 if self.execution_plan.only_still_currents else span.steps)
            environment = dict(setup if span.shifting else between)
            environment.update(self._encoded(span))
            plan = self.execution_plan
            (plan.step if span.shifting else plan.homogeneous_step).run(environment, handlers)
            for step in range(span.steps):
                for name in plan.decoded_nodes:
                    self._accumulate(name, span.of_step(environment[name], step))
                self.t = span.first + step
                if passed is not None:
                    passed(self.t + 1)
                ended = self.watched and self._after_step(finished)
            self.t += 1
        self.t -= 1
        if not finished:
            return self.decoded(), torch.full_like(self.samples, self.steps)
        if self.samples.numel():
            finished.append((self.decoded(), self.samples, self.t + 1))
        order = torch.cat([samples for _, samples, _ in finished]).argsort()
        output = tree_map(lambda *pieces: torch.cat(pieces)[order], *[output for output, _, _ in finished])
        lengths = torch.cat([torch.full_like(samples, taken) for _, samples, taken in finished])
        return output, lengths[order]

    def _together(self) -> int:
        """How many steps are computed together at most: their maps fit the caches as those of many samples would."""
        if not self._batched or self.stop is not None or self.left or self.of_membranes:
            return 1
        if self.watched and self.scoring:
            return 1
        widest = max(population.neurons for population in self.network.populations.values())
        return max(1, self.at_once // (len(self.samples) * widest))

    def _span(self, together: int) -> Span:
        begins = self.t % self.period == 0
        # Constants arrive in some steps only, which are computed by themselves.
        left = self.steps - self.t if self.period == 1 else 1 if begins else self.period - self.t % self.period
        return Span(self.t, min(together, left, self.steps - self.t), len(self.samples), begins)

    def _presented(self, steps: int) -> tuple[Environment, Environment]:
        """What does not change with time, where a value begins and after it, for so many ``steps`` of all samples."""
        if steps not in self._prepared:
            given = self.given()
            if steps > 1:
                given = {name: laid_out(torch.cat([value] * steps)) for name, value in given.items()}
            self._prepared[steps] = self._prepare(given)
        return self._prepared[steps]

    def _prepare(self, given: Mapping[str, Tensor]) -> tuple[Environment, Environment]:
        setup: Environment = {**self.constants, **given}
        self.execution_plan.setup.run(setup)
        if self.period == 1:
            return setup, setup
        masks = self.network.graph.masks
        silent = {name: value if name in masks else torch.zeros_like(value) for name, value in given.items()}
        offset: Environment = {**self.constants, **silent}
        self.execution_plan.setup.run(offset)
        analog = [name for name in setup if name in self.execution_plan.analog and isinstance(setup[name], Tensor)]
        share = {name: (setup[name] - offset[name]) / self.period for name in analog}
        return {**setup, **{name: share[name] + offset[name] for name in analog}}, {**setup, **share}

    def _encoded(self, span: Span) -> Mapping[str, Tensor]:
        found: dict[str, list[Tensor]] = {}
        if not self.network.plan.input.spiking:
            return {}
        for step in range(span.steps):
            for position, name in enumerate(self.network.graph.inputs):
                found.setdefault(name, []).append(self._encoded_step(position, name, span.first + step, span.shifting))
        return {name: each[0] if span.steps == 1 else laid_out(torch.cat(each)) for name, each in found.items()}

    def _encoded_step(self, position: int, name: str, t: int, begins: bool) -> Tensor:
        code, seen = self.network.plan.input, self.network.input_ranges[position]
        if t == 0:
            values = self.normalized_input(position)
            self.states[name] = (values, code.initial(values))
        values, state = self.states[name]
        payload, state = code.step(values, state, t, self.draws)
        self.states[name] = (values, state)
        for observer in self.observers:
            observer.input(payload.ne(0).to(payload.dtype), position)
        current = payload * (seen.span * (code.period / self.period))
        return current + seen.low if begins else current

    def population(self, node: str, population: Population) -> Handler:
        steps, own = self.populations[node], node in self.execution_plan.own_currents
        following, counting = self.following, self.counting

        def seen(t: int, payload: Tensor) -> None:
            for observer in following:
                observer.payload(node, t, payload, self.positions)

        def advance(arguments: Mapping[str, Any]) -> Tensor:
            found = steps.advance(
                arguments["self"],
                self.states.get(node),
                self.span,
                own=own,
                counted=bool(counting),
                watch=seen if following else None,
            )
            self.states[node] = found.state
            self.tell_membranes(node, self.span.first, found.state)
            if found.spikes is not None:
                for observer in counting:
                    observer.fired(node, found.spikes)
            return found.decoded

        return advance

    def gate(self, node: str, operator: MaximumOperator) -> Handler:
        """Lets a spike through if it raises the largest accumulated payload of its window, and by as much.

        What has passed is then at every step the maximum of what has arrived, so decoded values are pooled exactly.
        """
        arrived, passed = f"{node} arrived", f"{node} passed"

        def gate(arguments: Mapping[str, Any]) -> Tensor:
            sums = []
            for step in range(self.span.steps):
                self._accumulate(arrived, self.span.of_step(arguments["self"], step))
                sums.append(self.accumulated[arrived].clone() if self.span.steps > 1 else self.accumulated[arrived])
            maximum: Tensor = operator.evaluate({**arguments, "self": sums[0] if len(sums) == 1 else torch.cat(sums)})
            # Payloads raise or lower the maximum from 0, so at first what lies below 0 passes too.
            payload = maximum.clone()
            for step in range(self.span.steps):
                if passed in self.accumulated:
                    self.span.of_step(payload, step).sub_(self.accumulated[passed])
                self.accumulated[passed] = self.span.of_step(maximum, step)
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
        environment = dict(self._presented(1)[0])
        for name in self.execution_plan.decoded_nodes:
            if name in self.scoring:
                steps = self.populations[name]
                counts = self.accumulated[name] * steps.inverse_scale
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
        self.draws = self.draws.of(keep)
        if not self.samples.numel():
            return True
        self.inputs = tuple(tensor[keep] for tensor in self.inputs)
        self.states = tree_map(lambda part: part[keep] if isinstance(part, Tensor) else part, self.states)
        self.accumulated = {key: value[keep] for key, value in self.accumulated.items()}
        self._prepared.clear()
        return False
