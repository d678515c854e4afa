"""Noise of crossbars of memristors: every analog read of synapses has an error of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from coding import Draws
from snnconv.data.shapes import BATCH, concrete
from snnconv.errors import ConfigurationError
from snnconv.graph.interpreter import Environment, Program, zero_inputs
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.execution_plan import ExecutionPlan
from snnconv.spiking.population import Population

#: Random events that the unit of an output is measured with, at least; numbers that it should be a mean over, and signs
#: and inputs that are held for it at most.
_FEWEST_EVENTS, _MEAN_OVER, _MOST_HELD = 64, 2**13, 2**22


@dataclass(frozen=True)
class CrossbarNoise:
    """Normal noise of every analog read of a crossbar, independent of all others (Kim et al. 2022).

    Spikes of one time step are read at once, and what is read is multiplied by what they carry. So a read adds noise of
    the standard deviation ``sigma`` times that payload to the current of each neuron, in units of the neuron's scale.
    All reads of a window together make ``sigma`` times the root of the sum of squared payloads: ``sigma / sqrt(p)`` for
    p pulses of thermometer code, hardly less than ``sigma`` for codes whose payloads fall fast. Populations in their
    windows are read whether they fire or not. At an output the unit is the root mean square of what spikes of random
    signs in all neurons that feed it bring about there. Biases and real-valued inputs are added without noise.

    Args:
        sigma: Standard deviation of a read of spikes that carry 1.

    Raises:
        ConfigurationError: ``sigma`` is negative or no number.

    Example:
        >>> print(snnconv.evaluate(snn, (images, labels), reference=model, noise=snnconv.CrossbarNoise(0.1)))
    """

    sigma: float

    def __post_init__(self) -> None:
        number = isinstance(self.sigma, (int, float)) and not isinstance(self.sigma, bool)
        if not number or not 0.0 <= self.sigma < math.inf:
            raise ConfigurationError(f"CrossbarNoise: sigma must be a number of at least 0, got {self.sigma!r}")


class CrossbarReads:
    """The reads of one simulation, and their noise.

    Raises ``ConfigurationError`` for networks whose reads are not defined: streams, products and ratios of signals,
    spiking inputs, and codes in which what a spike carries depends on its neuron; and for ``noise`` that is none.
    """

    def __init__(self, network: NetworkBase, noise: CrossbarNoise) -> None:
        if not isinstance(noise, CrossbarNoise):
            raise ConfigurationError(f"noise must be snnconv.CrossbarNoise(sigma), got {noise!r}")
        self._network, self._sigma = network, noise.sigma
        plan = network.execution_plan
        if network.timing is None:
            raise ConfigurationError("noise of crossbars needs windows: convert with schedule=Pipeline()")
        if plan.products or plan.ratios:
            name = network.name_of(next(iter(plan.products or plan.ratios)))
            raise ConfigurationError(f"{name} multiplies or divides two signals, which no crossbar reads")
        if network.plan.input.spiking:
            raise ConfigurationError("noise of crossbars needs the default input, a constant current")
        self._starts = network.timing.starts
        read = {source for sources in (*plan.sources.values(), plan.output_sources) for source in sources}
        self._payloads = {source: _payloads(network.populations[source]) for source in sorted(read)}

    def window(self, node: str, current: Tensor, draws: Draws) -> Tensor:
        """``current`` of a population, or of an output, with the noise of all reads of its sources' windows."""
        payloads = (each for source in self.feeding(node) for each in self._payloads[source])
        return self._noisy(node, current, draws, payloads)

    def step(self, node: str, current: Tensor, draws: Draws, t: int, active: Iterable[str]) -> Tensor:
        """``current`` of time step ``t`` with the noise of its reads, of the sources that are ``active`` in it."""
        feeding = set(self.feeding(node)).intersection(active)
        payloads = (self._payloads[source][t - self._starts[source]] for source in feeding)
        return self._noisy(node, current, draws, payloads)

    def drawn(self, node: str, current: Tensor, draws: Draws) -> Tensor:
        """The noise of one read of spikes that carry 1, in the shape and the units of ``current``."""
        return draws.normal(current) * (self._sigma * self._unit(node, current))

    def feeding(self, node: str) -> tuple[str, ...]:
        """The populations of whose spikes the currents of a population, or of an output, are read."""
        plan = self._network.execution_plan
        return (plan.sources if node in self._network.populations else plan.decoded_sources)[node]

    def _noisy(self, node: str, current: Tensor, draws: Draws, payloads: Iterable[float]) -> Tensor:
        deviation = math.sqrt(math.fsum(payload**2 for payload in payloads))
        if not deviation:
            return current
        return current + deviation * self.drawn(node, current, draws)

    def _unit(self, node: str, current: Tensor) -> Tensor | float:
        if node in self._network.populations:
            return self._network.populations[node].broadcast_scale(current.dim())
        return self._output_units[node]

    @cached_property
    def _output_units(self) -> Mapping[str, float]:
        network, plan, events = self._network, self._network.execution_plan, self._events()
        generator = torch.Generator(network.like.device).manual_seed(0)
        together = 1 if network.batch_axis is None else events
        squares = dict.fromkeys(plan.decoded_sums, 0.0)
        for _ in range(events // together):
            sent: dict[str, Tensor] = {}
            for name in plan.output_sources:
                population = network.populations[name]
                shape = population.shape if network.batch_axis is None else (events, *population.shape)
                drawn = torch.randint(0, 2, shape, generator=generator, device=network.like.device).to(network.like)
                sent[name] = (2.0 * drawn - 1.0) * population.broadcast_scale(drawn.dim())
            silent = {name: torch.zeros_like(each) for name, each in sent.items()}
            with torch.no_grad():
                fired, still = (self._decoded(each, together) for each in (sent, silent))
            for name in squares:
                squares[name] += float((fired[name] - still[name]).square().mean())
        return {name: math.sqrt(square * together / events) for name, square in squares.items()}

    def _events(self) -> int:
        """So many that a mean over them is exact to about a hundredth, if they are not too large."""
        network, plan = self._network, self._network.execution_plan
        shapes = [network.graph.nodes[name].shape or () for name in plan.decoded_sums]
        fewest = min((math.prod(shape if network.batch_axis is None else shape[1:]) for shape in shapes), default=1)
        held = sum(network.populations[name].neurons for name in plan.output_sources)
        held += sum(math.prod(concrete(shape, {BATCH: 1})) for shape in network.graph.taken.values())
        return max(_FEWEST_EVENTS, min(_MEAN_OVER // max(1, fewest), _MOST_HELD // max(1, held)))

    def _decoded(self, sent: Mapping[str, Tensor], events: int) -> Environment:
        """What is decoded where the populations that feed outputs send this."""
        network = self._network
        inputs = zero_inputs(network.graph, network.like.dtype, network.like.device, samples=events)
        given = dict(zip(network.graph.taken, inputs, strict=True))
        environment: Environment = {**network.constants, **given, **sent}
        _behind_populations(network.execution_plan).run(environment)
        return environment


def _behind_populations(plan: ExecutionPlan) -> Program:
    """What is between the populations that feed outputs and these, so that no other is run."""
    nodes = {node.name: node for node in plan.setup.nodes + plan.step.nodes if node.name not in plan.populations}
    found, pending = set[str](), [*plan.decoded_sums]
    while pending:
        name = pending.pop()
        if name in nodes and name not in found:
            found.add(name)
            pending.extend(nodes[name].refs())
    return Program([node for name, node in nodes.items() if name in found], keep=plan.decoded_sums)


def _payloads(population: Population) -> tuple[float, ...]:
    payloads = None if population.tables is not None else population.code.payloads
    if payloads is None:
        raise ConfigurationError(
            f"{population.name}: what a spike of {population.code.name} code carries depends on its neuron, so a "
            "crossbar cannot read all neurons at once; give it thermometer, rate, phase or few-spike code"
        )
    return tuple(payload * (population.code.period / population.code.steps) for payload in payloads)
