"""Sensitivities: what a code in one population does to the output, and what it costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconv.calibration.assembly import Calibrated
from snnconv.data.batches import Inputs
from snnconv.graph.graph import refs_in
from snnconv.graph.interpreter import Environment, Handler, Program, evaluate_graph, resolve
from snnconv.graph.operators.activation import ActivationOperator, activation_at
from snnconv.metrics.energy_models import MULTIPLY, PAIR, SYNOP, update_energy
from snnconv.metrics.judge import Judge
from snnconv.network import SpikingNetwork
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.spiking.population import Population
from snnconv.spiking.ratios import cost_of_update
from snnconv.spiking.settling import settle

#: Activations of the original network that are held at once.
_MOST_ACTIVATIONS = 2**25


@dataclass(frozen=True)
class Sensitivity:
    """One population in a code of its own, all others exact: mean squared deviation, and costs of one sample."""

    error: float
    energy: float
    spikes: float
    latency: float


def sensitivities(
    calibrated: Calibrated,
    network: SpikingNetwork,
    choices: Mapping[str, Sequence[Population]],
    judge: Judge,
    progress: ProgressCallback | None = None,
) -> list[list[Sensitivity]]:
    """The sensitivity of every population to each of its ``choices``; ``network`` is any network of the same graph.

    For every choice only what lies behind the population is computed again, and for one that is given twice once.
    """
    graph, inputs = calibrated.graph, samples_for(calibrated, network)
    samples = 1 if graph.batch_axis is None else inputs[0].shape[0]
    with torch.no_grad():
        exact, values = evaluate_graph(graph, inputs, keep=graph.nodes)
        found = []
        parts = PartsDone(progress, "measuring sensitivities", sum(len({*map(id, row)}) for row in choices.values()))
        for node, populations in choices.items():
            changed = graph.behind([node])
            behind = Program([each for each in graph.nodes.values() if each.name in changed], refs_in(graph.output))
            targets = [target for target, sources in network.execution_plan.sources.items() if node in sources]
            listeners = sum(network.populations[target].neurons for target in targets)
            fan_out, met = (float(each[node].mean()) for each in (network.synapses.fan_out, network.synapses.meetings))
            row: dict[int, Sensitivity] = {}
            for choice in populations:
                if id(choice) in row:
                    continue
                spent = _Spent()
                environment: Environment = dict(values)
                behind.run(environment, {node: _alone(choice, activation_at(graph.nodes[node]), spent)})
                deviation = judge.deviation(exact, resolve(graph.output, environment))
                spikes, updates = spent.spikes / samples, spent.updates / samples
                updates += listeners * choice.code.steps
                # Where it is multiplied, neurons of the other operand are taken to fire once.
                ratio = node in network.execution_plan.ratios
                energy = spikes * (fan_out * SYNOP + met * PAIR + ratio * MULTIPLY)
                energy += updates * update_energy(*cost_of_update(choice.neuron, ratio))
                error = float(deviation.double().square().mean())
                parts.more()
                row[id(choice)] = Sensitivity(error, energy, spikes, float(choice.code.steps))
            found.append([row[id(choice)] for choice in populations])
        parts.end()
    return found


def samples_for(calibrated: Calibrated, network: SpikingNetwork) -> Inputs:
    """The samples on which sensitivities of ``network`` are measured."""
    inputs = calibrated.samples.fitted[0]
    if calibrated.graph.batch_axis is None:
        return inputs
    activations = sum(population.neurons for population in network.populations.values())
    return tuple(tensor[: max(1, _MOST_ACTIVATIONS // activations)] for tensor in inputs)


@dataclass
class _Spent:
    spikes: float = 0.0
    updates: float = 0.0


def _alone(choice: Population, operator: ActivationOperator, spent: _Spent) -> Handler:
    """The closed form of one population, which adds what it spends to ``spent``."""

    def fire(arguments: Mapping[str, Any]) -> Tensor:
        windows = settle(choice, operator.current(arguments), counted=True)
        found = windows.found
        assert found.spikes is not None and found.updates is not None
        spent.spikes += float(found.spikes.sum(dtype=torch.float64))
        spent.updates += float(found.updates.sum(dtype=torch.float64))
        return windows.decoded

    return fire
