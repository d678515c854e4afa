"""What a sweep measured of one configuration, and what a configuration costs."""

from __future__ import annotations

from dataclasses import dataclass

from snnconv.spiking.logs import Cost

#: What a configuration costs, by the name that a user gives it, and the figure of ``Measured`` that tells.
COSTS: dict[Cost, str] = {"spikes": "spikes_per_neuron", "latency": "latency", "energy": "e3"}


@dataclass(frozen=True)
class Measured:
    """Figures of one configuration, as ``Evaluation`` defines them; ``code`` names the code of most populations.

    ``latency`` is the mean number of time steps of a sample; energies are joules for one sample, what stays real-valued
    (``analog_macs`` of the original's ``reference_macs``) among them. Where values are judged, accuracies and agreement
    are ``None``, else deviation and what follows it; relative errors, ``mse`` and ``r2`` are those against targets.
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
    agreement: float | None
    neurons: int
    spikes_per_neuron: float
    synops: float
    analog_macs: int
    reference_macs: int
    e2: float
    e2_reference: float
    e3: float
    e3_reference: float
    deviation: float | None = None
    relative_error: float | None = None
    mse: float | None = None
    r2: float | None = None
    reference_relative_error: float | None = None
    reference_mse: float | None = None
    reference_r2: float | None = None

    @property
    def quality(self) -> float:
        """The accuracy, or the agreement where there are no targets; for values 100 less the deviation; in percent."""
        if self.deviation is not None:
            return 100.0 - 100.0 * self.deviation
        quality = self.agreement if self.accuracy is None else self.accuracy
        assert quality is not None  # a sweep has an original network to agree with
        return quality

    def cost(self, cost: Cost) -> float:
        """What a sample costs: spikes per neuron, time steps, or joules under model E3."""
        return float(getattr(self, COSTS[cost]))
