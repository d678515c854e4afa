"""What a run costs: time steps, spikes, synaptic operations and energy of one sample, whatever is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from snnconv.energy import Activity, Energy, energy
from snnconv.network_base import NetworkBase
from snnconv.simulators.recorders import SpikeCounter


@dataclass(frozen=True)
class Measures:
    """Costs of a spiking network on a data set: means for one sample.

    ``steps`` is the latency of a pipeline, else the time steps simulated; samples may stop earlier (``mean_steps``).
    ``spikes_by_step[t]`` are the spikes of a sample up to step ``t``, ``None`` for a pipeline. ``spikes`` and
    ``synops_by_source`` go by population.
    """

    samples: int
    steps: int
    mean_steps: float
    neurons: int
    spikes_per_neuron: float
    spikes_by_step: list[float] | None
    spikes: dict[str, float]
    input_spikes: float
    synops: float
    synops_by_source: dict[str, float]
    synops_by_layer: float
    synops_are_bound: bool
    activity: Activity
    energy: Energy

    def cost_text(self, beside: str = "original") -> list[str]:
        """Lines on synaptic operations and energy, ``beside`` that of the same network with activations."""
        bound = " (upper bound)" if self.synops_are_bound else ""
        e = self.energy
        lines = [
            f"synaptic operations per sample: {self.synops:.4g}{bound}, "
            f"counted layer by layer {self.synops_by_layer:.4g}; "
            f"MACs of the analog input {self.activity.input_macs:.4g}",
            f"energy E2 (MAC 4.6 pJ, AC 0.9 pJ): {e.e2:.3g} J, {beside} {e.e2_reference:.3g} J",
            f"energy E3 (memory 5.0, add 0.9, multiply 3.7 pJ): {e.e3:.3g} J, {beside} {e.e3_reference:.3g} J",
        ]
        if e.e1 is not None:
            chips = ", ".join(f"{chip} {value:.3f}" for chip, value in e.e1.items())
            lines.append(f"energy E1 (rate coding is 1): {chips}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, ready for JSON."""
        plain = {key: value for key, value in vars(self).items() if key not in ("activity", "energy")}
        return {**plain, "activity": vars(self.activity), "energy": self.energy.to_dict()}


def measures(
    network: NetworkBase,
    counter: SpikeCounter,
    steps: int,
    lengths: int,
    rate_reference: Measures | None = None,
) -> dict[str, Any]:
    """The fields of ``Measures`` for what ``counter`` saw in ``steps`` steps, ``lengths`` of all samples together."""
    samples = counter.samples
    # Where every sample stopped early, the rest of the time stays as it was.
    spikes_by_step = list(accumulate(counter.by_step))
    spikes_by_step += spikes_by_step[-1:] * (steps - len(spikes_by_step))
    spikes = {name: count / samples for name, count in counter.spikes().items()}
    synops = {name: count / samples for name, count in counter.synops().items()}
    activity = _activity(network, counter, sum(spikes.values()), sum(synops.values()), lengths / samples)
    reference_run = None
    if rate_reference is not None:
        reference_run = (rate_reference.activity.spikes, rate_reference.activity.latency)
    return {
        "samples": samples,
        "steps": steps,
        "mean_steps": lengths / samples,
        "neurons": activity.neurons,
        "spikes_per_neuron": activity.spikes / activity.neurons,
        "spikes_by_step": [count / samples for count in spikes_by_step] if network.timing is None else None,
        "spikes": spikes,
        "input_spikes": counter.input_spikes / samples,
        "synops": activity.synops,
        "synops_by_source": synops,
        "synops_by_layer": sum(counter.synops_by_layer().values()) / samples,
        "synops_are_bound": bool(network.synapses.bounds),
        "activity": activity,
        "energy": energy(activity, reference_run),
    }


def _activity(network: NetworkBase, counter: SpikeCounter, spikes: float, synops: float, latency: float) -> Activity:
    synapses, populations = network.synapses, network.populations
    streams = network.timing is None
    # A stream presents an analog input and updates every neuron at every step, a pipeline only while it may matter.
    presentations = latency if streams else 1.0
    input_macs = 0.0 if network.plan.input.spiking else synapses.input_macs * presentations
    active = sum(float(synapses.fan_out_by_layer[name].sum()) * share for name, share in network.densities.items())
    updates = {
        node: population.neurons * latency if streams else counter.updates[node] / counter.samples
        for node, population in populations.items()
    }
    words, additions, multiplications = (
        sum(updates[node] * population.neuron.update_cost[part] for node, population in populations.items())
        for part in range(3)
    )
    return Activity(
        spikes=spikes,
        latency=latency,
        synops=synops,
        input_macs=input_macs,
        updates=sum(updates.values()),
        update_words=words,
        update_additions=additions,
        update_multiplications=multiplications,
        neurons=sum(population.neurons for population in populations.values()),
        reference_macs=synapses.macs,
        # Paths that meet between two weighted operators are one multiplication, so the sum over paths may exceed it.
        reference_active_macs=min(active, float(synapses.macs)),
    )
