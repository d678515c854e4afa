"""The clock under a pipeline: a population integrates while its sources fire, then fires in a window of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from snnconv.data.batches import Inputs
from snnconv.graph.interpreter import Environment, Handler
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.activation import activation_at
from snnconv.graph.operators.bilinear import BilinearOperator
from snnconv.graph.operators.pooling import MaximumOperator
from snnconv.simulators.observers import Observer
from snnconv.simulators.simulator import Chunk, Passed, Simulator
from snnconv.spiking.population import Population
from snnconv.spiking.products import Meetings

#: Steps after which the ranks of trains are renumbered, so that they stay exact integers in double precision.
_RENUMBER = 16


class PipelineChunk(Chunk):
    """The state of one chunk of samples on its way through the windows of a pipeline.

    What the network adds (biases, and an analog input) arrives before step 0. Then only the regions behind the sources
    that are in their windows are evaluated, without what they add.
    """

    def __init__(
        self, clock: Simulator, inputs: Inputs, first: int, observers: Sequence[Observer], before: int = 0
    ) -> None:
        super().__init__(clock, inputs, first, observers, before)
        assert clock.network.timing is not None
        self.timing = clock.network.timing
        self.states: dict[str, Any] = {}
        self.silence: dict[str, Tensor] = {}
        self.total: dict[str, Tensor] = {}
        self.fired: dict[str, Tensor] = {}
        self.ranks: dict[str, _Ranks] = {}
        #: By product and by ratio: what each of its operands has sent so far, by argument.
        self.traces: dict[str, dict[str, Tensor]] = {}
        #: Spikes so far of what products multiply, if they are counted.
        self.spikes: dict[str, Tensor] = {}
        counted = any(observer.of_windows == "sums" for observer in observers)
        self.multiplied = self.execution_plan.multiplied if counted else set()

    def run(self, passed: Passed | None = None) -> tuple[Any, Tensor]:
        self._load()
        handlers = self.handlers()
        for t in range(self.timing.latency):
            self.t = t
            active = [name for name, start in self.timing.starts.items() if start <= t < self.timing.end(name)]
            self.active, self.live = active, self.execution_plan.live(active)
            environment: Environment = {**self.constants, **{name: self.silence[name] for name in self.live.silent}}
            environment.update(self._encoded(active))
            self.live.program.run(environment, handlers)
            for name in self.live.decoded_nodes:
                summed = name in self.execution_plan.decoded_sums
                arrived = self._read(name, environment[name]) if summed else environment[name]
                self.total[name] = self.total[name] + arrived
            if passed is not None:
                passed(t + 1)
        output = self.execution_plan.decode({**self.setup, **self.total})
        if self.multiplied:
            meetings = Meetings(self.execution_plan, self.spikes, self.setup, self.input_offsets())
            for product in self.execution_plan.products:
                pairs = meetings.pairs(product)
                for observer in self.observers:
                    observer.product(product, pairs)
        for observer in self.observers:
            if observer.wants_output:
                observer.output(self.timing.latency - 1, output, self.positions)
        return output, torch.full_like(self.samples, self.timing.latency)

    def _load(self) -> None:
        """Deliver biases and analog inputs to all populations, and note the shape of every signal."""
        network = self.network
        constants = network.constants
        # Spikes of an input stand for what exceeds the lowest value.
        inputs = self.given() | self.input_offsets()
        self.setup: Environment = {**constants, **inputs}
        self.execution_plan.setup.run(self.setup)
        self.constants = {name: value for name, value in self.setup.items() if name not in self.execution_plan.analog}
        for name in network.graph.inputs:
            self.silence[name] = _silence(self.setup[name])
        for name in self.execution_plan.analog & self.setup.keys():
            if isinstance(self.setup[name], Tensor):
                self.silence[name] = _silence(self.setup[name])
        environment = dict(self.setup)

        def loaded(node: str, population: Population) -> Handler:
            operator = activation_at(network.graph.nodes[node])

            def load(arguments: Mapping[str, Any]) -> Tensor:
                if node in self.execution_plan.ratios:
                    self.traces[node] = dict(arguments)
                current = operator.current(arguments)
                self._charge(node, population, current)
                self.tell_membranes(node, -1, self.states[node])
                self.fired[node] = torch.zeros_like(current)
                return _silence(current)

            return load

        def begun(node: str, operator: BilinearOperator) -> Handler:
            def begin(arguments: Mapping[str, Any]) -> Any:
                self.traces[node] = dict(arguments)
                return operator.evaluate(arguments)

            return begin

        handlers = {node: loaded(node, population) for node, population in network.populations.items()}
        handlers |= {node: begun(node, operator) for node, operator in self.execution_plan.products.items()}
        for node, evaluate, arguments in self.execution_plan.step.calls(environment):
            environment[node.name] = handlers.get(node.name, evaluate)(arguments())
            if isinstance(environment[node.name], Tensor):
                self.silence[node.name] = _silence(environment[node.name])
        self.total = {name: environment[name] for name in self.execution_plan.decoded_nodes}

    def _read(self, node: str, current: Tensor) -> Tensor:
        """``current`` of this step as crossbars read it."""
        return current if self.reads is None else self.reads.step(node, current, self.draws, self.t, self.active)

    def _charge(self, node: str, population: Population, current: Tensor) -> None:
        """Give neurons that have integrated nothing yet this current, and what their population adds to it."""
        neuron = population.window_neuron(population.channel_axis)
        current = current + population.broadcast(population.shift, current.dim())
        inverse_scale = self._inverse_scale(population, current)
        self.states[node] = neuron.listen(current, neuron.initial(current), inverse_scale)

    def _inverse_scale(self, population: Population, current: Tensor) -> Tensor:
        return 1.0 / population.window_scale(current.dim())

    def _encoded(self, active: Sequence[str]) -> Mapping[str, Tensor]:
        code, encoded = self.network.plan.input, {}
        for position, name in enumerate(self.network.graph.inputs):
            if name not in active:
                continue
            local = self.t - self.timing.starts[name]
            if local == 0:
                values = self.normalized_input(position)
                self.states[name] = (values, code.initial(values))
            values, state = self.states[name]
            payload, state = code.step(values, state, local, None)
            self.states[name] = (values, state)
            for observer in self.observers:
                observer.input(payload.ne(0).to(payload.dtype), position)
            self._count(name, payload)
            span = self.network.input_ranges[position].span
            encoded[name] = payload * (span * (code.period / self.timing.lengths[name]))
        return encoded

    def _count(self, name: str, payload: Tensor) -> None:
        if name in self.multiplied:
            spikes = payload.ne(0).to(payload.dtype)
            self.spikes[name] = self.spikes[name] + spikes if name in self.spikes else spikes

    def population(self, node: str, population: Population) -> Handler:
        neuron, limit = population.window_neuron(population.channel_axis), population.code.limit
        start, end = self.timing.starts[node], self.timing.end(node)

        def advance(arguments: Mapping[str, Any]) -> Tensor:
            if self.t >= end:
                return self.silence[node]  # what arrives now can no longer make it fire
            able = self.fired[node].numel() if limit is None else int((self.fired[node] < limit).sum())
            for observer in self.observers:
                observer.updated(node, able)
            if node in self.execution_plan.ratios:
                self._gather(node, arguments)
                if self.t == start:
                    # In units of scale x divisor, in which thresholds x divisor are the code's own.
                    self._charge(node, population, self.execution_plan.ratios[node].current(self.traces[node]))
            elif node in self.live.listening:
                current = self._read(node, arguments["self"])
                self.states[node] = neuron.listen(current, self.states[node], self._inverse_scale(population, current))
            if self.t < start:
                self.tell_membranes(node, self.t, self.states[node])
                return self.silence[node]
            payload, self.states[node] = neuron.fire(self.states[node], self.t - start)
            self.tell_membranes(node, self.t, self.states[node])
            self.fired[node] += payload != 0
            self._count(node, payload)
            for observer in self.observers:
                observer.payload(node, self.t - start, payload, self.positions)
                if population.tables is not None and self.t == end - 1:
                    observer.looked_up(node, self.states[node].potential, self.positions)
            return payload * population.window_scale(payload.dim())

        return advance

    def gate(self, node: str, operator: MaximumOperator) -> Handler:
        """Lets the spikes of one candidate of every window through: of the one whose train comes last in the lexicon.

        The largest value has the lexicographically largest train. Whoever stays silent while another candidate that
        fired alike so far fires, is out.
        """

        def gate(arguments: Mapping[str, Any]) -> Tensor:
            values = arguments["self"]
            ranks = self.ranks.setdefault(node, _Ranks())

            def pool(candidates: Tensor) -> Any:
                return operator.evaluate({**arguments, "self": candidates})

            passes = ranks.advance(values.sign(), pool)
            payload = torch.where(passes > 0, pool(values), torch.where(passes < 0, -pool(-values), 0.0))
            for observer in self.observers:
                observer.gate(node, payload)
            self._count(node, payload)
            return payload

        return gate

    def product(self, node: str, operator: BilinearOperator) -> Handler:
        """What the spikes of a step add, by parts: each meets all that the other operand has sent, d(ab) = da b + a db.

        The sum over all steps is the product of both sums, for a signal with itself too.
        """

        def meet(arguments: Mapping[str, Any]) -> Tensor:
            traces, added = self.traces[node], []
            for key in self._arriving(node):
                added.append(operator.evaluate({**traces, key: arguments[key]}))
                traces[key] = traces[key] + arguments[key]
            result: Tensor = added[0] if len(added) == 1 else added[0] + added[1]
            return result

        return meet

    def _gather(self, node: str, arguments: Mapping[str, Any]) -> None:
        """Add to both sides of a ratio what arrives there; its window starts when both are complete."""
        for key in self._arriving(node):
            self.traces[node][key] = self.traces[node][key] + arguments[key]

    def _arriving(self, node: str) -> list[str]:
        """The arguments of a product or a ratio at which spikes may arrive in this step."""
        at = self.network.graph.nodes[node]
        sources = {key: at.arguments[key].name for key in OPERATORS[at.op].ends(at)}
        return [key for key, name in sources.items() if name in self.silence and name not in self.live.silent]


class _Ranks:
    """The order of all trains so far: integers that grow with a train, and the largest of every pooling window."""

    def __init__(self) -> None:
        self.steps = 0
        self.own: Tensor | None = None
        self.top: Tensor | None = None

    def advance(self, spikes: Tensor, pool: Any) -> Tensor:
        """Take the signs ``spikes`` of one step in; the sign that the leader of every window fired with."""
        if self.own is None or self.top is None:
            self.own = torch.zeros_like(spikes, dtype=torch.float64)
            self.top = pool(self.own)
        elif self.steps % _RENUMBER == 0:
            renumbered = torch.unique(self.own, return_inverse=True)[1].to(torch.float64)
            self.own, self.top = renumbered, pool(renumbered)
        self.steps += 1
        before = self.top * 3.0  # one digit a step: -1, 0 or 1
        self.own = self.own * 3.0 + spikes
        self.top = pool(self.own)
        return self.top - before


def _silence(like: Tensor) -> Tensor:
    """Zeros shaped as ``like`` that take no memory."""
    return like.new_zeros(()).expand(like.shape)
