"""The export report: what runs where, what it takes of a Loihi 2 chip, what was rewritten, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hw_export.integers.fidelity import Fidelity
from hw_export.integers.network import IntegerNetwork, IntegerPopulation
from hw_export.integers.ranges import MembraneReach, NeuronLimits, reaches
from hw_export.integers.rewriting import rewritten
from hw_export.lava.limits import CORES, Cores, cores_of, memory_of
from neurons.integer_lookup import LookupRule
from neurons.integer_rules import StreamRule
from snnconv.text import table

#: Lava's own neurons keep potentials 64 times finer than weights in 24 bits.
BUILT_IN_LIMIT = 2**17 - 1
_BUILT_IN_BIAS = 2**15 - 1
BUILT_IN, SIMULATION = "built-in processes", "simulation only (needs microcode)"


@dataclass(frozen=True)
class Placement:
    """A population, gate, output or relay on the machine: where it runs and why, and what it takes.

    ``memory`` is in bytes, with every weight of a kernel stored once.
    """

    name: str
    neurons: int
    weights: int
    synapses: int
    weight_bits: int
    memory: int
    cores: Cores
    built_in: bool
    reason: str


@dataclass(frozen=True)
class ExportReport:
    """Placements in order of execution, what was rewritten, and the fidelity before and after."""

    placements: tuple[Placement, ...]
    notes: tuple[str, ...]
    fidelity: Mapping[str, Fidelity]

    @property
    def cores(self) -> Cores:
        """Fewest and most cores of the whole network."""
        return Cores(
            sum(each.cores.fewest for each in self.placements), sum(each.cores.most for each in self.placements)
        )

    def to_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {
            "placements": [asdict(each) | {"fit": each.cores.fit} for each in self.placements],
            "cores": asdict(self.cores) | {"fit": self.cores.fit},
            "notes": list(self.notes),
            "fidelity": {label: asdict(found) for label, found in self.fidelity.items()},
        }

    def __str__(self) -> str:
        head = ["population", "neurons", "weights", "synapses", "bits", "KB", "cores", "runs on"]
        rows = [
            [
                each.name,
                str(each.neurons),
                str(each.weights),
                str(each.synapses),
                str(each.weight_bits),
                f"{each.memory / 1024:.1f}",
                _interval(each.cores),
                f"{BUILT_IN if each.built_in else SIMULATION}: {each.reason}",
            ]
            for each in self.placements
        ]
        fit = f"cores: {_interval(self.cores)} of {CORES} on a Loihi 2 chip: {self.cores.fit}"
        measured = [f"{label}: {found}" for label, found in self.fidelity.items()]
        return "\n".join([table(head, rows), fit, *(f"- {note}" for note in self.notes), *measured])


def _interval(cores: Cores) -> str:
    return str(cores.fewest) if cores.fewest == cores.most else f"{cores.fewest} to {cores.most}"


def placements(integers: IntegerNetwork) -> tuple[Placement, ...]:
    """Where every population, gate and output of ``integers`` runs, and what it takes."""
    bounds = built_in_reaches(integers)
    found = []
    for node in (*integers.explicit.shapes, *integers.outputs):
        shape = integers.explicit.shapes.get(node) or integers.explicit.currents[node].shape
        maps = [each.map for each in integers.into(node)]
        weights = sum(int(each.weights.size) for each in maps)
        synapses = sum(each.synapses for each in maps)
        largest = _largest_weight(integers, node)
        neurons = int(np.prod(shape))
        built_in, reason = _where(integers, node, bounds.get(node))
        table = _table_numbers(integers.populations.get(node))
        cores = Cores(0, 0) if node in integers.explicit.gates else cores_of(neurons, weights, synapses, table)
        bits = largest.bit_length() + 1 if largest else 0
        name = integers.explicit.name(node)
        memory = 0 if node in integers.explicit.gates else memory_of(neurons, weights, table)
        found.append(Placement(name, neurons, weights, synapses, bits, memory, cores, built_in, reason))
    for source, count in relays(integers).items():
        shape = integers.explicit.shapes.get(source) or integers.explicit.inputs[source]
        neurons, weights = count * int(np.prod(shape)), count * shape[0]
        name, cores = f"relays of {integers.explicit.name(source)}", cores_of(neurons, weights, neurons)
        memory = memory_of(neurons, weights)
        found.append(Placement(name, neurons, weights, neurons, 2, memory, cores, True, "identity synapses"))
    return tuple(found)


def _table_numbers(population: IntegerPopulation | None) -> int:
    """Numbers in tables of a population's channels; a single spike needs thresholds and payloads only."""
    if population is None or not isinstance(population.rule, LookupRule):
        return 0
    rows = population.tables if population.rule.levels else population.tables[:2]
    return sum(row.size for row in rows)


def _largest_weight(integers: IntegerNetwork, target: str) -> int:
    weights = (each.map.weights.astype(np.int64) for each in integers.into(target))
    return max((int(np.abs(each).max(initial=0)) for each in weights), default=0)


def relays(integers: IntegerNetwork) -> dict[str, int]:
    """How many relays stand behind each source that has any, one for each step of delay beyond the first."""
    depths = integers.explicit.depths()
    found: dict[str, int] = {}
    for each in integers.connections:
        found[each.source] = max(found.get(each.source, 0), depths[each.target] - depths[each.source] - 1)
    return {source: count for source, count in found.items() if count}


def built_in_reaches(integers: IntegerNetwork) -> dict[str, MembraneReach]:
    """How far membranes could go on Lava's own neurons, by node."""
    limits = dict.fromkeys(integers.populations, NeuronLimits(membrane=BUILT_IN_LIMIT))
    return {reach.node: reach for reach in reaches(integers, limits)}


def runs_built_in(population: IntegerPopulation, bound: MembraneReach) -> bool:
    """Whether Lava's own LIF neuron computes it exactly: a reset to zero, and potentials and biases it can hold."""
    return _obstacle(population, bound) is None


def _obstacle(population: IntegerPopulation, bound: MembraneReach) -> str | None:
    """What keeps a population from Lava's own neurons; ``None`` if nothing does."""
    rule = population.rule
    if isinstance(rule, LookupRule):
        return "a table for each channel"
    if not isinstance(rule, StreamRule):
        return "window code"
    if rule.negative is not None:
        return "spikes below zero"
    if rule.gain > 1:
        return "burst code"
    if rule.reset != "zero":
        return "reset by subtraction"
    if rule.halved:
        return "an initial potential"
    if int(np.abs(population.bias).max()) > _BUILT_IN_BIAS:
        return f"biases beyond +-{_BUILT_IN_BIAS}"
    if bound.size > BUILT_IN_LIMIT:
        far = f"its membrane may go from {bound.lowest} to {bound.highest}, beyond +-{BUILT_IN_LIMIT}"
        return f"{far}; fewer input_bits or steps"
    return None


def _where(integers: IntegerNetwork, node: str, bound: MembraneReach | None) -> tuple[bool, str]:
    if node in integers.explicit.gates:
        return False, "max pooling of spikes"
    if node in integers.outputs:
        return True, "sums are read by the host"
    assert bound is not None
    obstacle = _obstacle(integers.populations[node], bound)
    return obstacle is None, obstacle or "LIFReset"


def notes(integers: IntegerNetwork) -> tuple[str, ...]:
    """What was rewritten on the way to Lava, and why."""
    found, delayed = rewritten(integers), sum(relays(integers).values())
    if delayed:
        found.append(f"{delayed} relays delay skips by a step each, since every connection of Lava takes one")
    return tuple(found)
