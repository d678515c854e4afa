"""Golden vectors: what a program has to come to, by the integer reference, and what it does on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hw_export.c.phases import window
from hw_export.c.synapses import fan_out, is_silent
from hw_export.explicit.maps import Array
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.parallel import merged
from hw_export.integers.reference import IntegerRun, run_reference
from snnconv.progress import ProgressCallback, told

#: Odd factors of what a spike is, in this order: its population, step, neuron and payload; and those that mix them.
FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F)
MIXING = (0x85EBCA6B, 0xC2B2AE35)


@dataclass(frozen=True)
class Vectors:
    """Integer ``inputs`` and expected ``sums`` by node, ``[N, ...]``, expected ``spikes`` ``[N, populations]``.

    ``digests`` ``[N, cells]`` has a cell for each population and step of its window, one population behind the other.
    ``additions`` are those that payloads cause at every target, by node and for a sample on average. ``source`` says
    where the inputs are from.
    """

    inputs: Mapping[str, Array]
    sums: Mapping[str, Array]
    spikes: Array
    digests: Array
    additions: Mapping[str, float]
    source: str

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self.spikes)


def random_inputs(integers: IntegerNetwork, count: int) -> dict[str, Array]:
    """Integers of the whole range of inputs, the same every time."""
    generator = np.random.default_rng(0)
    return {
        name: generator.integers(integers.inputs[name].smallest, integers.inputs[name].largest + 1, (count, *shape))
        for name, shape in integers.explicit.inputs.items()
    }


def golden_vectors(
    integers: IntegerNetwork, inputs: Mapping[str, Array], source: str, progress: ProgressCallback | None = None
) -> Vectors:
    """What integer ``inputs [N, ...]`` from ``source`` come to; ``progress`` is told of samples."""
    count = len(next(iter(inputs.values())))
    nodes = list(integers.explicit.shapes)
    sums: dict[str, list[Array]] = {node: [] for node in integers.outputs}
    spikes, digests = np.zeros((count, len(nodes)), np.int64), []
    additions = dict.fromkeys((*integers.populations, *integers.outputs), 0.0)
    connections = merged(integers.connections)
    reached = [fan_out(each.map) for each in connections]
    for sample in told(progress, "computing golden vectors", range(count), count):
        own = {node: values[sample : sample + 1] for node, values in inputs.items()}
        run = run_reference(integers, own, nodes)
        for node, values in run.sums.items():
            sums[node].append(values[0])
        spikes[sample] = [run.spikes[node] for node in nodes]
        digests.append(np.concatenate([np.zeros(0, np.uint32), *_digests(integers, run)]))
        for connection, costs in zip(connections, reached, strict=True):
            sent = run.rasters[connection.source][0] if connection.source in run.rasters else own[connection.source]
            if not is_silent(connection.map):
                additions[connection.target] += float(((sent != 0).sum(0) * costs).sum()) / count
    return Vectors(
        dict(inputs),
        {node: np.stack(each) for node, each in sums.items()},
        spikes,
        np.stack(digests),
        additions,
        source,
    )


def _digests(integers: IntegerNetwork, run: IntegerRun) -> list[Array]:
    """The digest of every step of every population's window, for the only sample of ``run``."""
    found = []
    for number, node in enumerate(integers.explicit.shapes):
        first, length = window(integers, node)
        raster = run.rasters[node][0].reshape(integers.steps, -1)
        steps, neurons = np.nonzero(raster)
        parts = (np.full_like(steps, number), steps, neurons, raster[steps, neurons])
        mixed = sum((part.astype(np.uint32) * np.uint32(factor) for part, factor in zip(parts, FACTORS, strict=True)))
        digests = np.zeros(integers.steps, np.uint32)
        np.add.at(digests, steps, _mixed(np.asarray(mixed, np.uint32)))
        found.append(digests[first : first + length])
    return found


def _mixed(values: Array) -> Array:
    first, second = (np.uint32(factor) for factor in MIXING)
    values = (values ^ (values >> np.uint32(16))) * first
    values = (values ^ (values >> np.uint32(13))) * second
    found: Array = values ^ (values >> np.uint32(16))
    return found
