"""verify(): how far each population's decoded spikes are from the activation they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconv.data.batches import batches
from snnconv.errors import InputError
from snnconv.interpreter import evaluate_graph
from snnconv.network import SpikingNetwork
from snnconv.population import Population
from snnconv.report import table
from snnconv.simulators import simulator_for
from snnconv.simulators.observers import Observer, Samples, room_for
from snnconv.simulators.window import WindowOf


@dataclass(frozen=True)
class PopulationError:
    """Errors of one population: ``relative`` is |decoded - activation| / |activation| (2-norms over all samples).

    ``bias`` is the mean error in units of the mean activation, ``saturated`` the share of activations beyond what the
    code carries, ``spurious`` the share of inactive neurons that fired all the same.
    """

    name: str
    relative: float
    bias: float
    saturated: float
    spurious: float


@dataclass(frozen=True)
class Verification:
    """Errors of all populations in order of execution, and of the output. Prints as a table."""

    steps: int
    samples: int
    populations: tuple[PopulationError, ...]
    output: float

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, ready for JSON."""
        return {
            "steps": self.steps,
            "samples": self.samples,
            "output": self.output,
            "populations": [vars(population) for population in self.populations],
        }

    def __str__(self) -> str:
        rows = [
            [p.name, f"{p.relative:.4f}", f"{p.bias:+.4f}", f"{p.saturated:.2%}", f"{p.spurious:.2%}"]
            for p in self.populations
        ]
        rows.append(["output", f"{self.output:.4f}", "", "", ""])
        head = ["population", "relative error", "bias", "saturated", "spurious"]
        return f"{self.samples} samples, {self.steps} steps\n{table(head, rows)}"


def verify(network: SpikingNetwork, data: Any = None, *, steps: int | None = None, seed: int = 0) -> Verification:
    """Compare every population with the activation it stands for, on data that was not used for calibration.

    Args:
        network: A converted network.
        data: What ``evaluate`` takes; by default the calibration samples that ``convert`` held out.
        steps: Time steps, instead of the network's own, under a concurrent schedule.
        seed: Seed of a stochastic input.

    Returns:
        The errors of every population and of the output.

    Raises:
        InputError: There are no held-out samples, or the data do not fit.
        ConfigurationError: The network learned through its own spikes, so there is nothing to compare it with.
    """
    network.check_original("verify")
    if data is None and not network.held_out:
        raise InputError("verify has no held-out samples (they are not saved with a network): pass data")
    like = network.like  # the network may have been moved since it was converted
    held_out = (tuple(tensor.to(like.device, like.dtype) for tensor in sample) for sample in network.held_out)
    source = held_out if data is None else (inputs for inputs, _ in batches(data, "data"))
    sums = {node: _Sums() for node in network.populations}
    output_error = output_norm = 0.0
    samples = 0
    for raw in source:
        inputs = network.check(raw, "data")
        decoded = _Decoder(network)
        simulator = simulator_for(network, steps=steps, seed=seed)
        output, lengths = simulator.run(inputs, [decoded])
        graph = network.complete_graph()
        wanted, values = evaluate_graph(graph, inputs, keep=network.populations)
        for node, population in network.populations.items():
            scale = population.broadcast_scale(values[node].dim())
            sums[node].add(
                population,
                values[node],
                network.decoded(node, decoded.payloads[node], simulator.steps) * scale,
                scale,
            )
        for mine, theirs in zip(_floats(output), _floats(wanted), strict=True):
            output_error += float(((mine - theirs).double() ** 2).sum())
            output_norm += float((theirs.double() ** 2).sum())
        samples += lengths.numel()
        seed += 1
    errors = tuple(sums[node].error(population.name) for node, population in network.populations.items())
    return Verification(simulator.steps, samples, errors, (output_error / max(output_norm, 1e-300)) ** 0.5)


class _Decoder(Observer):
    """Sum of the payloads of every population over time."""

    def __init__(self, network: SpikingNetwork) -> None:
        self.payloads: dict[str, Tensor] = {}
        self._samples = 0

    def begin(self, samples: int) -> None:
        self._samples = samples

    def payload(self, node: str, t: int, payload: Tensor, samples: Samples) -> None:
        if node not in self.payloads:
            self.payloads[node] = room_for(payload, samples, self._samples)
        self.payloads[node][samples] += payload

    def window(self, node: str, window: WindowOf, samples: Samples) -> None:
        code = window.population.code
        self.payload(node, 0, window.found.values * (code.steps // code.period), samples)


class _Sums:
    def __init__(self) -> None:
        self.error2 = self.norm2 = self.difference = self.magnitude = 0.0
        self.saturated = self.spurious = self.inactive = self.total = 0

    def add(self, population: Population, wanted: Tensor, found: Tensor, scale: Tensor) -> None:
        difference = (found - wanted).double()
        self.error2 += float((difference**2).sum())
        self.norm2 += float((wanted.double() ** 2).sum())
        self.difference += float(difference.sum())
        self.magnitude += float(wanted.double().abs().sum())
        largest = scale * (population.code.maximum * (1 + 1e-6))
        self.saturated += int((population.coded_size(wanted) > largest).sum())
        self.spurious += int(((wanted == 0) & (found != 0)).sum())
        self.inactive += int((wanted == 0).sum())
        self.total += wanted.numel()

    def error(self, name: str) -> PopulationError:
        return PopulationError(
            name=name,
            relative=(self.error2 / max(self.norm2, 1e-300)) ** 0.5,
            bias=self.difference / max(self.magnitude, 1e-300),
            saturated=self.saturated / self.total,
            spurious=self.spurious / max(self.inactive, 1),
        )


def _floats(nest: Any) -> list[Tensor]:
    leaves = torch.utils._pytree.tree_leaves(nest)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]
