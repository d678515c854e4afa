"""verify(): how far each population's decoded spikes are from the activation they stand for."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from snnconv.data.batches import batches, number_of_batches
from snnconv.errors import InputError
from snnconv.graph.interpreter import evaluate_graph
from snnconv.metrics.totals import check_alike
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback, told
from snnconv.simulators import simulator_for
from snnconv.simulators.observers import Observer, Samples, room_for
from snnconv.simulators.window_trains import PopulationWindow
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.population import Population
from snnconv.text import table


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
class ErrorSums:
    """Sums over activations: squared errors, squares, errors, sizes, and counts that shares are made of."""

    error2: float = 0.0
    norm2: float = 0.0
    difference: float = 0.0
    magnitude: float = 0.0
    saturated: int = 0
    spurious: int = 0
    inactive: int = 0
    total: int = 0

    def merge(self, other: ErrorSums) -> ErrorSums:
        """Both together."""
        return ErrorSums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def error(self, name: str) -> PopulationError:
        """The errors of the population that reports call ``name``."""
        return PopulationError(
            name=name,
            relative=self.relative,
            bias=self.difference / max(self.magnitude, 1e-300),
            saturated=self.saturated / self.total,
            spurious=self.spurious / max(self.inactive, 1),
        )

    @property
    def relative(self) -> float:
        """The 2-norm of the errors relative to that of the activations."""
        return float((self.error2 / max(self.norm2, 1e-300)) ** 0.5)


@dataclass(frozen=True)
class VerificationSums:
    """What a verification is made of: sums of every population by name, and of the output."""

    samples: int
    populations: dict[str, ErrorSums]
    output: ErrorSums

    def merge(self, other: VerificationSums) -> VerificationSums:
        """Both together. Raises ``InputError`` where populations differ."""
        if [*self.populations] != [*other.populations]:
            raise InputError("verifications of networks with different populations cannot be merged")
        populations = {name: sums.merge(other.populations[name]) for name, sums in self.populations.items()}
        return VerificationSums(self.samples + other.samples, populations, self.output.merge(other.output))


@dataclass(frozen=True)
class Verification:
    """Errors of all populations in order of execution, and of the output. Prints as a table.

    Attributes:
        steps: Time steps of the simulation.
        samples: Number of samples.
        populations: The errors of every population.
        output: The error of the output.
        sums: The sums behind all errors.
    """

    steps: int
    samples: int
    populations: tuple[PopulationError, ...]
    output: float
    sums: VerificationSums = field(repr=False)

    def merge(self, other: Verification) -> Verification:
        """The verification on the data of both; counts are exact, sums of squares to rounding.

        Both must be of one network under one setting. Raises ``InputError`` where they cannot be.
        """
        check_alike(self, other, ("steps",))
        return _verification(self.steps, self.sums.merge(other.sums))

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, ready for JSON."""
        return {
            "steps": self.steps,
            "samples": self.samples,
            "output": self.output,
            "populations": [vars(population) for population in self.populations],
        }

    def __repr__(self) -> str:
        what = f"{self.samples} samples, {self.steps} steps, {len(self.populations)} populations"
        return f"Verification({what}, relative error of the output {self.output:.4f})"

    def __str__(self) -> str:
        rows = [
            [p.name, f"{p.relative:.4f}", f"{p.bias:+.4f}", f"{p.saturated:.2%}", f"{p.spurious:.2%}"]
            for p in self.populations
        ]
        rows.append(["output", f"{self.output:.4f}", "", "", ""])
        head = ["population", "relative error", "bias", "saturated", "spurious"]
        return f"{self.samples} samples, {self.steps} steps\n{table(head, rows)}"


def verify(
    network: SpikingNetwork,
    data: Any = None,
    *,
    steps: int | None = None,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Verification:
    """Compare every population with the activation it stands for, on data that was not used for calibration.

    Args:
        network: A converted network.
        data: What ``evaluate`` takes; by default the calibration samples that ``convert`` held out.
        steps: Time steps, instead of the network's own, under a concurrent schedule.
        seed: Seed of a stochastic input.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).

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
    found: VerificationSums | None = None
    total = len(network.held_out) if data is None else number_of_batches(data)
    for raw in told(progress, "verifying", source, total):
        inputs = network.check(raw, "data")
        decoded = _Decoder(network)
        simulator = simulator_for(network, steps=steps, seed=seed)
        output, lengths = simulator.run(inputs, [decoded])
        graph = network.complete_graph()
        wanted, values = evaluate_graph(graph, inputs, keep=network.populations)
        populations = {}
        for node, population in network.populations.items():
            scale = population.broadcast_scale(values[node].dim())
            value = network.decoded(node, decoded.payloads[node], simulator.steps) * scale
            populations[population.name] = _sums(population, values[node], value, scale)
        whole = ErrorSums()
        for mine, theirs in zip(_floats(output), _floats(wanted), strict=True):
            error2, norm2 = float(((mine - theirs).double() ** 2).sum()), float((theirs.double() ** 2).sum())
            whole = whole.merge(ErrorSums(error2, norm2))
        one = VerificationSums(lengths.numel(), populations, whole)
        found = one if found is None else found.merge(one)
        seed += 1
    assert found is not None  # data without batches was refused
    return _verification(simulator.steps, found)


def _verification(steps: int, sums: VerificationSums) -> Verification:
    errors = tuple(each.error(name) for name, each in sums.populations.items())
    return Verification(steps, sums.samples, errors, sums.output.relative, sums)


class _Decoder(Observer):
    """Sum of the payloads of every population over time."""

    def __init__(self, network: NetworkBase) -> None:
        self.payloads: dict[str, Tensor] = {}
        self._samples = 0

    def begin(self, samples: int) -> None:
        self._samples = samples

    def payload(self, node: str, t: int, payload: Tensor, samples: Samples) -> None:
        if node not in self.payloads:
            self.payloads[node] = room_for(payload, samples, self._samples)
        self.payloads[node][samples] += payload

    def window(self, node: str, window: PopulationWindow, samples: Samples) -> None:
        code = window.population.code
        self.payload(node, 0, window.found.values * (code.steps // code.period), samples)


def _sums(population: Population, wanted: Tensor, found: Tensor, scale: Tensor) -> ErrorSums:
    difference = (found - wanted).double()
    largest = scale * (population.code.maximum * (1 + 1e-6))
    return ErrorSums(
        error2=float((difference**2).sum()),
        norm2=float((wanted.double() ** 2).sum()),
        difference=float(difference.sum()),
        magnitude=float(wanted.double().abs().sum()),
        saturated=int((population.coded_size(wanted) > largest).sum()),
        spurious=int(((wanted == 0) & (found != 0)).sum()),
        inactive=int((wanted == 0).sum()),
        total=wanted.numel(),
    )


def _floats(nest: Any) -> list[Tensor]:
    leaves = torch.utils._pytree.tree_leaves(nest)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]
