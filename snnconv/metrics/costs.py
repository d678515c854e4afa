"""What a run costs: time steps, spikes, synaptic operations and energy of one sample, whatever is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import accumulate
from typing import Any

from snnconv.graph.real_valued import share_text
from snnconv.metrics.energy_models import Activity, Energy, energy
from snnconv.metrics.totals import Totals
from snnconv.tables import Column, ResultTable, Tabular
from snnconv.text import at_most


@dataclass(frozen=True)
class Costs(Tabular):
    """Costs of a spiking network on a data set: means for one sample.

    ``steps`` is the latency of a pipeline, else the time steps simulated; samples may stop earlier (``mean_steps``).
    ``spikes_by_step[t]`` are the spikes of a sample up to step ``t``, ``None`` for a pipeline. ``spikes`` and
    ``synops_by_source`` go by population. Where ``synops_are_bound``, synaptic operations and energies are at most so
    large, but not those counted layer by layer. ``totals`` are the sums behind all figures.
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
    totals: Totals = field(repr=False)

    def cost_text(self, beside: str = "original") -> list[str]:
        """Lines on synaptic operations and energy, ``beside`` that of the same network with activations."""
        e, bound = self.energy, self.synops_are_bound
        e2, e3 = (at_most(f"{joules:.3g} J", bound) for joules in (e.e2, e.e3))
        lines = [
            f"synaptic operations per sample: {at_most(f'{self.synops:.4g}', bound)}, "
            f"counted layer by layer {self.synops_by_layer:.4g}; "
            f"MACs of the analog input {self.activity.input_macs:.4g}",
            f"energy E2 (MAC 4.6 pJ, AC 0.9 pJ): {e2}, {beside} {e.e2_reference:.3g} J",
            f"energy E3 (memory 5.0, add 0.9, multiply 3.7 pJ): {e3}, {beside} {e.e3_reference:.3g} J",
        ]
        activity = self.activity
        if activity.pairs:
            lines.insert(1, f"pairs of spikes at products of two signals, among them: {activity.pairs:.4g}")
        if activity.ratio_multiplications:
            lines.append(f"multiplications by the divisors of ratios, in E3: {activity.ratio_multiplications:.4g}")
        if activity.analog_macs:
            share = share_text(self.totals.analog_macs, activity.reference_macs)
            often = activity.analog_macs / self.totals.analog_macs
            times = f", made {often:.3g} times a sample" if often > 1 else ""
            lines.insert(1, f"{share}{times}: they are in E2 and E3 of both networks, and no spikes stand for them")
        if e.e1 is not None:
            chips = ", ".join(f"{chip} {value:.3f}" for chip, value in e.e1.items())
            part = "rate coding is 1; spikes and latency only" if activity.analog_macs else "rate coding is 1"
            lines.append(f"energy E1 ({part}): {chips}")
        return lines

    def costs_by_population(self) -> ResultTable:
        """What a sample costs by population: neurons, spikes, spikes of a neuron, synaptic operations of its spikes.

        Operations of gates, products and a spiking input have rows of their own.
        """
        columns = (
            Column("population"),
            Column("neurons"),
            Column("spikes", form=".4g"),
            Column("spikes per neuron", form=".3f"),
            Column("SynOps", form=".4g", bounds=self.synops_are_bound),
        )
        own = tuple(
            (name, neurons, self.spikes[name], self.spikes[name] / neurons, self.synops_by_source.get(name, 0.0))
            for name, neurons in self.totals.neurons.items()
        )
        others = {name: synops for name, synops in self.synops_by_source.items() if name not in self.totals.neurons}
        return ResultTable(columns, (*own, *((name, None, None, None, synops) for name, synops in others.items())))

    def to_table(self) -> ResultTable:
        """What a sample costs by population; results that also judge the output have a table of their own."""
        return self.costs_by_population()

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, ready for JSON."""
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.repr}
        return {**plain, "activity": vars(self.activity), "energy": self.energy.to_dict()}


def measures(totals: Totals) -> dict[str, Any]:
    """The fields of ``Costs`` for what was counted."""
    samples, activity = totals.samples, _activity(totals)
    by_step = None
    if totals.spikes_by_step is not None:
        by_step = [count / samples for count in accumulate(totals.spikes_by_step)]
    return {
        "samples": samples,
        "steps": totals.steps,
        "mean_steps": totals.steps_taken / samples,
        "neurons": activity.neurons,
        "spikes_per_neuron": activity.spikes / activity.neurons,
        "spikes_by_step": by_step,
        "spikes": _means(totals.spikes, samples),
        "input_spikes": totals.input_spikes / samples,
        "synops": activity.synops,
        "synops_by_source": _means(totals.synops, samples),
        "synops_by_layer": totals.synops_by_layer / samples,
        "synops_are_bound": totals.synops_are_bound,
        "activity": activity,
        "energy": energy(activity, totals.rate_reference),
        "totals": totals,
    }


def _activity(totals: Totals) -> Activity:
    latency, updates = totals.steps_taken / totals.samples, _means(totals.updates, totals.samples)
    # A stream presents an analog input at every step, a pipeline once.
    presentations = 1.0 if totals.spikes_by_step is None else latency
    words, additions, multiplications = (
        sum(updates[name] * cost[part] for name, cost in totals.update_costs.items()) for part in range(3)
    )
    payloads = sum(totals.spikes[name] for name in totals.ratios) / totals.samples
    return Activity(
        spikes=sum(_means(totals.spikes, totals.samples).values()),
        latency=latency,
        synops=sum(_means(totals.synops, totals.samples).values()),
        pairs=totals.pairs / totals.samples,
        input_macs=totals.input_macs_per_presentation * presentations,
        analog_macs=totals.analog_macs * totals.readouts / totals.samples,
        updates=sum(updates.values()),
        update_words=words,
        update_additions=additions,
        update_multiplications=multiplications + payloads,
        ratio_multiplications=sum(updates[name] for name in totals.ratios) + payloads,
        neurons=sum(totals.neurons.values()),
        reference_macs=totals.reference_macs,
        reference_active_macs=totals.reference_active_macs,
    )


def _means(sums: Mapping[str, float], samples: int) -> dict[str, float]:
    return {name: total / samples for name, total in sums.items()}
