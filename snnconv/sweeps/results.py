"""What a sweep measured of one configuration, and what a configuration costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snnconv.spiking.logs import Cost

#: What a configuration costs, by the name that a user gives it, and the figure of ``Measured`` that tells.
COSTS: dict[Cost, str] = {"spikes": "spikes_per_neuron", "latency": "latency", "energy": "e3"}

#: The least and the most that figures can be.
_PERCENT, _COUNT, _AMOUNT = (0.0, 100.0), (1, math.inf), (0.0, math.inf)
_BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("accuracy", "reference_accuracy", "agreement", "standard_error"), _PERCENT),
    **dict.fromkeys(("samples", "steps", "neurons"), _COUNT),
    **dict.fromkeys(("latency", "spikes_per_neuron", "synops", "analog_macs", "reference_macs"), _AMOUNT),
    **dict.fromkeys(("judged", "decided"), _AMOUNT),
    **dict.fromkeys(("e2", "e2_reference", "e3", "e3_reference", "deviation"), _AMOUNT),
    **dict.fromkeys(("relative_error", "mse", "reference_relative_error", "reference_mse"), _AMOUNT),
    **dict.fromkeys(("r2", "reference_r2"), (-math.inf, 1.0)),
    "loss": (-100.0, 100.0),
}
#: What rounding may add.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Measured:
    """Figures of one configuration, as ``Evaluation`` defines them; ``code`` names the code of most populations.

    ``latency`` is the mean number of time steps of a sample; energies are joules for one sample, what stays real-valued
    (``analog_macs`` of the original's ``reference_macs``) among them. Where values are judged, accuracies and agreement
    are ``None``, else deviation and what follows it; relative errors, ``mse`` and ``r2`` are those against targets.
    ``synops_are_bound`` says that ``synops``, ``e2`` and ``e3`` are upper bounds. It, ``judged`` and ``decided`` are
    ``None`` in rows of a file that was written before they were kept.
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
    judged: int | None = None
    decided: int | None = None
    synops_are_bound: bool | None = None

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


def impossible(figures: Mapping[str, Any]) -> str | None:
    """What figures of ``Measured`` cannot be, in words; ``None`` where nothing speaks against those that are there.

    Bounds hold to rounding, as percentages and R2 are quotients.
    """
    known = {name: x for name, x in figures.items() if isinstance(x, (int, float)) and not isinstance(x, bool)}
    for name, (least, most) in _BOUNDS.items():
        if name in known and not least - _ROUNDING <= known[name] <= most + _ROUNDING:
            return f"{name} is {known[name]!r}, and must be from {least:g} to {most:g}"
    for part, whole in (("latency", "steps"), ("analog_macs", "reference_macs"), ("judged", "decided")):
        if {part, whole} <= known.keys() and known[part] > known[whole] + _ROUNDING:
            return f"{part} is {known[part]!r}, more than {whole}, {known[whole]!r}"
    names = ("loss", "reference_accuracy", "accuracy")
    if known.keys() >= set(names):
        loss, reference, accuracy = (known[name] for name in names)
        if abs(reference - accuracy - loss) > _ROUNDING:
            return f"loss is {loss!r}, and not the difference of the accuracies {reference!r} and {accuracy!r}"
    return None
