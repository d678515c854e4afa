"""Where every part of a network runs: on processes that Lava has itself, on the host, or in simulation only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hw_export.explicit.maps import ConvolutionMap
from hw_export.integers.built_in import built_in_reaches, obstacle
from hw_export.integers.declared import LIF, LONGEST_DELAY
from hw_export.integers.network import IntegerNetwork, IntegerPopulation
from hw_export.lava.limits import Cores, Load, cores_of
from neurons.integer_lookup import LookupRule

Where = Literal["built-in processes", "host", "simulation only (needs microcode)"]
BUILT_IN: Where = "built-in processes"
HOST: Where = "host"
SIMULATION: Where = "simulation only (needs microcode)"


@dataclass(frozen=True)
class Placement:
    """An input, population, gate, output, or the delays behind a source: where it runs and why, and what it takes.

    ``load`` is what it takes of a chip, ``None`` where it takes nothing; ``neurons`` are those of one sample.
    """

    name: str
    neurons: int
    weight_bits: int
    where: Where
    reason: str
    load: Load | None = None

    @property
    def built_in(self) -> bool:
        """Whether Lava has the process itself."""
        return self.where == BUILT_IN

    @property
    def weights(self) -> int:
        """Numbers stored, a kernel once."""
        return self.load.weights if self.load else 0

    @property
    def synapses(self) -> int:
        """Connections that are not zero."""
        return self.load.synapses if self.load else 0

    @property
    def memory(self) -> int:
        """Bytes, with every weight stored once."""
        return self.load.memory if self.load else 0

    @property
    def cores(self) -> Cores:
        """Cores that it takes alone."""
        return cores_of([self.load] if self.load else [])


def placements(integers: IntegerNetwork) -> tuple[Placement, ...]:
    """Where every input, population, gate and output of ``integers`` runs, and what it takes, in order of execution."""
    return (*_inputs(integers), *_stations(integers), *_outputs(integers), *_delays(integers))


def _inputs(integers: IntegerNetwork) -> Iterator[Placement]:
    repeated = integers.network.timing is None
    for node, taken in integers.inputs.items():
        values = int(np.prod(integers.explicit.inputs[node]))
        times = f"at every step, {values * integers.steps}" if repeated else f"at its first step, {values}"
        reason = f"it sends graded spikes of {taken.bits} bits {times} a sample at most"
        yield Placement(integers.explicit.name(node), values, taken.bits, HOST, reason)


def _stations(integers: IntegerNetwork) -> Iterator[Placement]:
    bounds = built_in_reaches(integers)
    for node, shape in integers.explicit.shapes.items():
        name, neurons = integers.explicit.name(node), int(np.prod(shape))
        if node in integers.explicit.gates:
            yield Placement(name, neurons, 0, SIMULATION, "max pooling of spikes")
            continue
        population = integers.populations[node]
        reason = obstacle(population, bounds[node])
        where = BUILT_IN if reason is None else SIMULATION
        load = _load(integers, node, neurons, _table_numbers(population))
        yield Placement(name, neurons, _weight_bits(integers, node), where, reason or "LIFReset", load)


def _outputs(integers: IntegerNetwork) -> Iterator[Placement]:
    bounds = built_in_reaches(integers)
    for node, output in integers.outputs.items():
        largest, neurons = bounds[node].current * integers.steps, output.offset.size
        where, reason = BUILT_IN, "LIF neurons that never fire add up a sample, and the host reads them at its end"
        if bounds[node].current > LIF.current or largest > LIF.membrane:
            where = HOST
            reason = f"it reads and adds up probes at every step: sums up to {largest} do not fit LIF neurons"
        load = _load(integers, node, neurons)
        yield Placement(integers.explicit.name(node), neurons, _weight_bits(integers, node), where, reason, load)


def _delays(integers: IntegerNetwork) -> Iterator[Placement]:
    depths = integers.explicit.depths()
    for source, steps in relays(integers).items():
        late = [each for each in integers.connections if each.source == source]
        late = [each for each in late if depths[each.target] - depths[source] > 1]
        name = f"delays behind {integers.explicit.name(source)}"
        if steps <= LONGEST_DELAY and not any(isinstance(each.map, ConvolutionMap) for each in late):
            reason = f"delays of synapses of up to {steps} steps, which have {LONGEST_DELAY.bit_length()} bits"
            yield Placement(name, 0, 0, BUILT_IN, reason)
            continue
        shape = integers.explicit.shapes.get(source) or integers.explicit.inputs[source]
        neurons = steps * int(np.prod(shape))
        reason = f"delays of up to {steps} steps: Lava's convolutions have none, its matrices up to {LONGEST_DELAY}"
        yield Placement(name, neurons, 2, SIMULATION, reason, Load(neurons, steps * shape[0], neurons, neurons))


def _load(integers: IntegerNetwork, node: str, neurons: int, table: int = 0) -> Load:
    maps = [each.map for each in integers.into(node)]
    sources = {each.source: int(np.prod(each.map.source_shape)) for each in integers.into(node)}
    return Load(
        neurons,
        sum(int(each.weights.size) for each in maps),
        sum(each.synapses for each in maps),
        sum(sources.values()),
        table,
        integers.weight_bits[node],
    )


def _table_numbers(population: IntegerPopulation) -> int:
    """Numbers in tables of a population's channels; a single spike needs thresholds and payloads only."""
    if not isinstance(population.rule, LookupRule):
        return 0
    rows = population.tables if population.rule.levels else population.tables[:2]
    return sum(row.size for row in rows)


def _weight_bits(integers: IntegerNetwork, target: str) -> int:
    weights = (each.map.weights.astype(np.int64) for each in integers.into(target))
    largest = max((int(np.abs(each).max(initial=0)) for each in weights), default=0)
    return largest.bit_length() + 1 if largest else 0


def relays(integers: IntegerNetwork) -> dict[str, int]:
    """How many steps of delay stand behind each source that has any, beyond the one that every connection takes."""
    depths = integers.explicit.depths()
    found: dict[str, int] = {}
    for each in integers.connections:
        found[each.source] = max(found.get(each.source, 0), depths[each.target] - depths[each.source] - 1)
    return {source: count for source, count in found.items() if count}
