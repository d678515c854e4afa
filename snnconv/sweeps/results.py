"""What a sweep measured of one configuration, and what a configuration costs."""

from __future__ import annotations

from dataclasses import dataclass

from snnconv.spiking.logs import Cost

#: What a configuration costs, by the name that a user gives it, and the figure of ``Measured`` that tells.
COSTS: dict[Cost, str] = {"spikes": "spikes_per_neuron", "latency": "latency", "energy": "e3"}


@dataclass(frozen=True)
class Measured:
    """Figures of one configuration, as ``Evaluation`` defines them; ``code`` names the code of most populations.

    ``latency`` is the mean number of time steps of a sample; energies are joules for one sample.
    """

    label: str
    code: str
    samples: int
    steps: int
    latency: float
    accuracy: float | None
    reference_accuracy: float | None
    loss: float | None
    standard_error: float | None
    agreement: float
    neurons: int
    spikes_per_neuron: float
    synops: float
    e2: float
    e2_reference: float
    e3: float
    e3_reference: float

    @property
    def quality(self) -> float:
        """The accuracy, or the agreement where there are no targets; in percent."""
        return self.agreement if self.accuracy is None else self.accuracy

    def cost(self, cost: Cost) -> float:
        """What a sample costs: spikes per neuron, time steps, or joules under model E3."""
        return float(getattr(self, COSTS[cost]))
