"""What a Loihi 2 chip holds, and how many of its cores a network needs at least and at most.

- 128 cores a chip, at most 8,192 neurons a core, 192 KiB of memory a core of which 128 KiB may be synapses, weights of
  8 bits, membranes of 24: Intel's technology brief "Taking Neuromorphic Computing to the Next Level with Loihi 2"
  (2021), as SANA-FE's Loihi profile and open-neuromorphic.org cite it.
- Axons: there is no public number for Loihi 2. Loihi 1 has 4,096 that lead into a core (``nengo_loihi``,
  ``block.py``), which the most cores are estimated with, and the fewest are not.
- Delays of 0 to 63 steps: 6 bits, ``lava.proc.dense``.

How kernels and indices are stored within a core is not public, so that the need of cores is an interval.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

CORES = 128
NEURONS_A_CORE = 8192
SYNAPSE_BYTES_A_CORE = 128 * 1024
BYTES_A_CORE = 192 * 1024
AXONS_A_CORE = 4096
#: Of a neuron: current and potential of 24 bits each, a bias of 13 bits with an exponent of 3.
STATE_BYTES = 8
#: Of a synapse that is stored on its own: a weight of 8 bits, a target among 8,192, a delay of 6 bits.
SYNAPSE_BYTES = 4
#: Of each number in the tables of a population that looks its spikes up.
TABLE_BYTES = 4

Fit = Literal["fits", "may fit", "does not fit"]


@dataclass(frozen=True)
class Load:
    """What a part of a network brings to a chip.

    ``weights`` are numbers of so many ``bits`` stored, a kernel once, ``synapses`` the connections that they make,
    ``sources`` the neurons that they come from, ``table`` the numbers in tables.
    """

    neurons: int
    weights: int
    synapses: int
    sources: int
    table: int = 0
    bits: int = 8

    @property
    def stored(self) -> int:
        """The fewest bytes of weights: each once, and none that makes no connection."""
        return -(-min(self.weights, self.synapses) * self.bits // 8)

    @property
    def memory(self) -> int:
        """The fewest bytes of everything."""
        return self.neurons * STATE_BYTES + self.stored + self.table * TABLE_BYTES


@dataclass(frozen=True)
class Cores:
    """The fewest cores that could hold something, and how many it takes at most."""

    fewest: int
    most: int

    @property
    def fit(self) -> Fit:
        """Whether one chip holds it; that it does not is said only where the fewest cores prove it."""
        if self.fewest > CORES:
            return "does not fit"
        return "fits" if self.most <= CORES else "may fit"


def cores_of(loads: Iterable[Load]) -> Cores:
    """Cores of several parts together.

    At least: parts are split and share cores as they like, every weight is stored once on the chip, without any index,
    so neurons, bytes of synapses and bytes in all need that many. At most: every part has cores of its own for its
    neurons, for a synapse each with its index, and for its tables, as often as its sources exceed the axons of a core.
    """
    parts = [load for load in loads if load.neurons]
    fewest = max(
        -(-sum(load.neurons for load in parts) // NEURONS_A_CORE),
        -(-sum(load.stored for load in parts) // SYNAPSE_BYTES_A_CORE),
        -(-sum(load.memory for load in parts) // BYTES_A_CORE),
    )
    return Cores(fewest, sum(_most(load) for load in parts))


def _most(load: Load) -> int:
    cores = -(-load.neurons // NEURONS_A_CORE)
    cores += -(-SYNAPSE_BYTES * load.synapses // SYNAPSE_BYTES_A_CORE)
    cores += -(-TABLE_BYTES * load.table // BYTES_A_CORE)
    return cores * max(1, -(-load.sources // AXONS_A_CORE))
