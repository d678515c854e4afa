"""Energy models E1, E2 and E3: what a run costs beside the original network, with the constants they use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from snnconv.errors import ConfigurationError

PICOJOULE = 1e-12

#: E1 (Park et al. 2019, 2020): weights of spikes and of latency, relative to a rate-coded run of the same network.
NORMALIZED = {"TrueNorth": (0.4, 0.6), "SpiNNaker": (0.64, 0.36)}
#: E2 (Horowitz 2014, 45 nm): joules of a 32-bit floating-point multiply-accumulate and of an accumulate.
MAC, ACCUMULATE = 4.6 * PICOJOULE, 0.9 * PICOJOULE
#: E3 (Hwang and Kung 2024): joules of an addition, a multiplication, and a 32-bit access to a small memory.
ADD, MULTIPLY, MEMORY = 0.9 * PICOJOULE, 3.7 * PICOJOULE, 5.0 * PICOJOULE
#: What energy is spent on.
PARTS = _MACS, _ACTIVATIONS, SYNAPTIC, _UPDATES = (
    "multiply-accumulates",
    "activations in memory",
    "synaptic operations",
    "updates of neurons",
)
#: E3 of a synaptic operation: a weight and one bit of a spike are fetched, and an addition is made.
SYNOP = MEMORY * 33 / 32 + ADD
#: E3 of a pair of spikes at a product of two signals. No paper prices one; assumed is that the sum of payloads that it
#: reads is twice as wide as a weight: two words and one bit of a spike are fetched, and an addition is made.
PAIR = MEMORY * 65 / 32 + ADD


@dataclass(frozen=True)
class Activity:
    """What one sample makes a spiking network do, on average.

    ``synops`` are synaptic operations, ``pairs`` those among them at products of two signals, ``input_macs`` multiply-
    accumulates of an analog input over all time steps, ``analog_macs`` those that stay real-valued behind the last
    population: once, and at every step that decides whether to stop. ``updates`` are the state updates of neurons;
    ``update_words``, ``update_additions`` and ``update_multiplications`` the memory words and the arithmetic of all of
    them, ``ratio_multiplications`` among them by the divisors of ratios; ``neurons`` the neurons. ``reference_macs``
    are the original network's multiply-accumulates, all of them, ``reference_active_macs`` those with a non-zero input.
    """

    spikes: float
    latency: float
    synops: float
    pairs: float
    input_macs: float
    analog_macs: float
    updates: float
    update_words: float
    update_additions: float
    update_multiplications: float
    ratio_multiplications: float
    neurons: int
    reference_macs: float
    reference_active_macs: float


@dataclass(frozen=True)
class Energy:
    """Energy of one sample, in joules; ``e1`` has no unit and needs a rate-coded run to divide by."""

    e1: dict[str, float] | None
    e2: float
    e2_reference: float
    e3: float
    e3_reference: float

    def to_dict(self) -> dict[str, Any]:
        """The figures and the constants behind them, as plain data."""
        return {**asdict(self), "constants": constants()}


def constants() -> dict[str, Any]:
    """Every constant of the energy models, in picojoules (E1: without unit)."""
    return {
        "E1": {chip: {"dynamic": d, "static": s} for chip, (d, s) in NORMALIZED.items()},
        "E2": {"multiply_accumulate_pJ": 4.6, "accumulate_pJ": 0.9, "source": "45 nm, 32-bit float (Horowitz 2014)"},
        "E3": {"add_pJ": 0.9, "multiply_pJ": 3.7, "memory_access_pJ": 5.0, "source": "Hwang and Kung 2024"},
        "E3 of a pair at a product": {"memory_accesses": 2, "additions": 1, "source": "assumption"},
    }


def normalized(spikes: float, latency: float, rate_spikes: float, rate_latency: float) -> dict[str, float]:
    """E1: energy relative to rate coding, by chip (Park et al. 2019): e_dyn spikes ratio + e_sta latency ratio."""
    return {
        chip: dynamic * spikes / rate_spikes + static * latency / rate_latency
        for chip, (dynamic, static) in NORMALIZED.items()
    }


def update_energy(words: float, additions: float, multiplications: float, updates: float = 1.0) -> float:
    """E3 of state updates, in joules: words read and written, arithmetic, and one bit of a spike each."""
    return words * 2 * MEMORY + additions * ADD + multiplications * MULTIPLY + updates * MEMORY / 32


def energy_parts(activity: Activity, model: str) -> tuple[dict[str, float], dict[str, float]]:
    """Joules of a sample under ``model`` E2 or E3 by what of ``PARTS`` they go to: of the network, and of the original.

    Raises ``ConfigurationError`` for another model.
    """
    a = activity
    # What is not spikes costs full multiply-accumulates; under E3 with the fetch of both operands.
    real_valued = a.input_macs + a.analog_macs
    if model == "E2":
        return {SYNAPTIC: a.synops * ACCUMULATE, _MACS: real_valued * MAC}, {_MACS: a.reference_macs * MAC}
    if model != "E3":
        raise ConfigurationError(f"energy model must be 'E2' or 'E3', got {model!r}")
    mac = 2 * MEMORY + ADD + MULTIPLY
    # Its published form is that of a neuron with one word of state, three additions and a multiplication by the base.
    updates = update_energy(a.update_words, a.update_additions, a.update_multiplications, a.updates)
    synops = (a.synops - a.pairs) * SYNOP + a.pairs * PAIR
    original = {_MACS: a.reference_active_macs * mac, _ACTIVATIONS: a.neurons * MEMORY}
    return {SYNAPTIC: synops, _UPDATES: updates, _MACS: real_valued * mac}, original


def energy(activity: Activity, rate_reference: tuple[float, float] | None = None) -> Energy:
    """Energy of a run under all models; ``rate_reference`` is (spikes, latency) of a rate-coded run, for E1."""
    a = activity
    e1 = None if rate_reference is None else normalized(a.spikes, a.latency, *rate_reference)
    (e2, e2_reference), (e3, e3_reference) = (
        (sum(parts.values()) for parts in energy_parts(a, model)) for model in ("E2", "E3")
    )
    return Energy(e1, e2, e2_reference, e3, e3_reference)
