"""What a Loihi 2 chip holds, and how many of its cores a population needs at least and at most.

The figures are those that Intel's technology brief and open-neuromorphic.org give: 128 cores a chip, at most 8,192
neurons a core, 192 KB of memory a core of which 128 KB may be synapses, weights of 8 bits, membranes of 24 bits. How
kernels are shared within a core is not public, so that the need of cores is an interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CORES = 128
NEURONS_A_CORE = 8192
SYNAPSE_BYTES_A_CORE = 128 * 1024
BYTES_A_CORE = 192 * 1024
#: Membrane potential, threshold and what the neuron's program remembers.
STATE_BYTES = 8
#: Of each number in the tables of a population that looks its spikes up.
TABLE_BYTES = 4

Fit = Literal["fits", "may fit", "does not fit"]


@dataclass(frozen=True)
class Cores:
    """Fewest cores, if every core stores each weight of a kernel once, and most, if it stores every synapse."""

    fewest: int
    most: int

    @property
    def fit(self) -> Fit:
        """Whether one chip holds it."""
        if self.fewest > CORES:
            return "does not fit"
        return "fits" if self.most <= CORES else "may fit"


def memory_of(neurons: int, weights: int, table: int = 0) -> int:
    """Bytes of ``neurons``, ``weights`` and the numbers of a ``table``, each stored once."""
    return neurons * STATE_BYTES + weights + table * TABLE_BYTES


def cores_of(neurons: int, weights: int, synapses: int, table: int = 0) -> Cores:
    """Cores of ``neurons`` with ``weights`` stored numbers that make ``synapses`` connections, and a ``table``."""
    by_neurons = -(-neurons // NEURONS_A_CORE)
    by_bytes = -(-memory_of(neurons, weights, table) // BYTES_A_CORE)
    # A kernel that every core needs whole leaves no room for more cores; a matrix is split among them.
    fewest = max(by_neurons, by_bytes, -(-min(weights, synapses) // SYNAPSE_BYTES_A_CORE))
    most = max(fewest, by_neurons + -(-synapses // SYNAPSE_BYTES_A_CORE))
    return Cores(fewest, most)
