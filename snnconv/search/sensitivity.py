"""Sensitivities: what a code in one population costs there, and what it does to the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from coding import Pipeline
from snnconv.calibration.assembly import Calibrated
from snnconv.data.batches import Inputs
from snnconv.graph.graph import refs_in
from snnconv.graph.interpreter import Environment, Program, evaluate_graph, resolve
from snnconv.graph.operators.activation import activation_at
from snnconv.metrics.energy_models import MULTIPLY, PAIR, SYNOP, update_energy
from snnconv.metrics.judge import Judge
from snnconv.network import SpikingNetwork
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.spiking.logs import Cost
from snnconv.spiking.population import Population
from snnconv.spiking.ratios import cost_of_update
from snnconv.spiking.settling import decode, windows_of

#: Activations of the original network that are held at once.
_MOST_ACTIVATIONS = 2**25
#: How many times smaller than what its own error says an error of the output is expected to be at most.
_SPREAD = 3.0


class Sensitivities:
    """What every one of ``choices`` costs and does in its population, all others exact, on a few samples.

    Costs ``[populations, choices]`` of one sample, and the squared error of the population's own values, are measured
    of all. The mean squared deviation of the output, for which all that lies behind the population is computed again,
    is measured where it may decide: in one population such deviations are nearly proportional to its own errors, so
    what is not measured is taken to be no less than a third of what the measured ones say. A code that is much better
    than that is missed, which makes what is chosen dearer, never worse.

    Args:
        calibrated: The original with its samples.
        network: Any network of the same graph.
        choices: Populations by node, one for every candidate; what is given twice is measured once.
        judge: Says what an error of the output is.
        kind: The cost.
        progress: Called as the work comes on.
    """

    def __init__(
        self,
        calibrated: Calibrated,
        network: SpikingNetwork,
        choices: Mapping[str, Sequence[Population]],
        judge: Judge,
        kind: Cost,
        progress: ProgressCallback | None = None,
    ) -> None:
        self._graph, self._network, self._judge, self._kind = calibrated.graph, network, judge, kind
        self._inputs = samples_for(calibrated, network)
        self._nodes, self._choices = [*choices], [*choices.values()]
        self._programs: dict[str, Program] = {}
        #: By population the number of the first choice that is the same, for each.
        self._first = [[[*map(id, row)].index(id(choice)) for choice in row] for row in self._choices]
        with torch.no_grad():
            self._exact, self._values = evaluate_graph(self._graph, self._inputs, keep=self._graph.nodes)
        shape = len(self._choices), len(self._choices[0]) if self._choices else 0
        self.costs, self._own = (torch.zeros(shape, dtype=torch.float64) for _ in range(2))
        #: Where the error of the output was measured.
        self.measured = torch.zeros(shape, dtype=torch.bool)
        self._errors = torch.zeros(shape, dtype=torch.float64)
        parts = PartsDone(progress, "measuring sensitivities", sum(len(set(row)) for row in self._first))
        for place, first in enumerate(self._first):
            for number in dict.fromkeys(first):
                self.costs[place, number], self._own[place, number] = self._alone(place, number)
                parts.more()
            self.costs[place], self._own[place] = self.costs[place, first], self._own[place, first]
            self.measure(place, int(self._own[place].argsort()[shape[1] // 2]))
        parts.end()

    def cheapest(self, price: float) -> list[int]:
        """By population the number of the choice with the least cost and error, both in parts of their means.

        ``price`` is that of the error against the cost.
        """
        cost_unit, error_unit = self.units
        found = []
        for place in range(len(self._choices)):
            while True:
                least = self._expected(place)
                least = torch.where(self.measured[place], least, least / _SPREAD)
                number = int((self.costs[place] / cost_unit + price * least / error_unit).argmin())
                if self.measured[place, number]:
                    break
                self.measure(place, number)
            found.append(number)
        return found

    def expected(self, chosen: Sequence[int]) -> tuple[float, float]:
        """What a network with these choices is expected to cost, and its squared error, as sums over populations.

        A latency is that of the network, since populations beside each other take their time together.
        """
        cost = sum(float(self.costs[place, number]) for place, number in enumerate(chosen))
        if self._kind == "latency":
            lengths = {
                node: row[number].code.steps
                for node, row, number in zip(self._nodes, self._choices, chosen, strict=True)
            }
            cost = float(_latency(self._network, lengths))
        return cost, sum(float(self._expected(place)[number]) for place, number in enumerate(chosen))

    @cached_property
    def units(self) -> tuple[float, float]:
        """The means of costs and of errors, as these are expected at first."""
        errors = torch.stack([self._expected(place) for place in range(len(self._choices))])
        return tuple(max(float(each.mean()), 1e-300) for each in (self.costs, errors))  # type: ignore[return-value]

    def _expected(self, place: int) -> Tensor:
        """Errors of the output by choice: measured, or in proportion to the population's own."""
        errors, own, measured = self._errors[place], self._own[place], self.measured[place]
        told = measured & (own > 0.0)
        ratio = (errors[told] / own[told]).median() if bool(told.any()) else 0.0
        return torch.where(measured, errors, own * ratio)

    @torch.no_grad()
    def measure(self, place: int, number: int) -> None:
        """Measure what the choice of this ``number`` does to the output in the population at this ``place``."""
        node, choice = self._nodes[place], self._choices[place][number]
        environment: Environment = {**self._values, node: decode(choice, self._current(node))}
        self._behind(place).run(environment)
        deviation = self._judge.deviation(self._exact, resolve(self._graph.output, environment))
        same = [first == self._first[place][number] for first in self._first[place]]
        self._errors[place, same] = float(deviation.double().square().mean())
        self.measured[place, same] = True

    def _behind(self, place: int) -> Program:
        node = self._nodes[place]
        if node not in self._programs:
            changed = self._graph.behind([node]) - {node}
            nodes = [each for each in self._graph.nodes.values() if each.name in changed]
            self._programs[node] = Program(nodes, refs_in(self._graph.output))
        return self._programs[node]

    def _current(self, node: str) -> Tensor:
        arguments = self._graph.nodes[node].arguments
        given = {key: resolve(argument, self._values) for key, argument in arguments.items()}
        return activation_at(self._graph.nodes[node]).current(given)

    def _behind_maxima(self, node: str) -> float:
        """How many connections a spike of a population meets behind maxima, on the average.

        They let the spikes of one neuron of many pass, which fires as much more often as it is active more often.
        """
        found, network = 0.0, self._network
        for gate, route in network.execution_plan.routes.items():
            if node in route.candidates:
                compared = sum(network.populations[each].neurons for each in route.candidates & {*self._nodes})
                activity = network.densities[gate] / max(network.densities[node], 1e-9)
                found += activity * float(network.synapses.fan_out[gate].sum()) / compared
        return found

    @torch.no_grad()
    def _alone(self, place: int, number: int) -> tuple[float, float]:
        """The cost of one sample in a population, and the squared error of its values."""
        node, choice, network = self._nodes[place], self._choices[place][number], self._network
        batched = self._graph.batch_axis is not None
        found = windows_of(choice).sum(self._current(node), batched)
        error = float((found.decoded - self._values[node]).square_().sum(dtype=torch.float64))
        samples = self._inputs[0].shape[0] if batched else 1
        spikes, updates = found.sums.spikes / samples, found.sums.updates / samples
        if self._kind != "energy":
            return (spikes if self._kind == "spikes" else float(choice.code.steps)), error
        targets = [target for target, sources in network.execution_plan.sources.items() if node in sources]
        updates += sum(network.populations[target].neurons for target in targets) * choice.code.steps
        fan_out, met = (float(each[node].mean()) for each in (network.synapses.fan_out, network.synapses.meetings))
        fan_out += self._behind_maxima(node)
        # Where it is multiplied, neurons of the other operand are taken to fire once.
        ratio = node in network.execution_plan.ratios
        energy = spikes * (fan_out * SYNOP + met * PAIR + ratio * MULTIPLY)
        return energy + updates * update_energy(*cost_of_update(choice.neuron, ratio)), error


def _latency(network: SpikingNetwork, lengths: Mapping[str, int]) -> int:
    """The latency of ``network`` if the windows of populations had these ``lengths``."""
    schedule, plan = network.plan.schedule, network.execution_plan
    assert isinstance(schedule, Pipeline) and network.timing is not None
    return schedule.timing(plan.sources, {**network.timing.lengths, **lengths}, plan.output_sources).latency


def samples_for(calibrated: Calibrated, network: SpikingNetwork) -> Inputs:
    """The samples on which sensitivities of ``network`` are measured."""
    inputs = calibrated.samples.fitted[0]
    if calibrated.graph.batch_axis is None:
        return inputs
    activations = sum(population.neurons for population in network.populations.values())
    return tuple(tensor[: max(1, _MOST_ACTIVATIONS // activations)] for tensor in inputs)
