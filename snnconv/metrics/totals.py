"""Totals: what was counted while a network ran, as plain sums that shards of a data set are merged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Any

from snnconv.errors import InputError
from snnconv.simulators.recorders import SpikeCounter
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.ratios import cost_of_update


@dataclass(frozen=True)
class Totals:
    """Sums over all samples, and what is the same for every sample of a network under one setting.

    ``steps_taken`` sums the time steps of all samples, ``updates`` the state updates of neurons, by population, whose
    costs are ``update_costs``; those of ``ratios`` multiply what their spikes take off, too. ``pairs`` are the synaptic
    operations at products of two signals. ``readouts`` counts how often outputs were decoded for a decision, which
    costs ``analog_macs``: once a sample, and at every step that decides whether to stop. ``setting`` names schedule,
    codes and neurons. ``spikes_by_step`` holds the spikes of each step, ``None`` for a pipeline. ``rate_reference`` is
    (spikes, latency) of a rate-coded run.
    """

    samples: int
    steps_taken: int
    readouts: int
    spikes: dict[str, float]
    input_spikes: float
    synops: dict[str, float]
    pairs: float
    synops_by_layer: float
    updates: dict[str, float]
    spikes_by_step: tuple[float, ...] | None
    steps: int
    setting: str
    neurons: dict[str, int]
    update_costs: dict[str, tuple[float, float, float]]
    ratios: tuple[str, ...]
    input_macs_per_presentation: int
    analog_macs: int
    reference_macs: int
    reference_active_macs: float
    synops_are_bound: bool
    rate_reference: tuple[float, float] | None

    def merge(self, other: Totals) -> Totals:
        """Both together. Raises ``InputError`` for totals of another network or setting."""
        check_alike(self, other, ("setting", "steps", "neurons", "update_costs", "synops_are_bound", "rate_reference"))
        check_alike(self, other, ("input_macs_per_presentation", "analog_macs", "ratios"))
        check_alike(self, other, ("reference_macs", "reference_active_macs"))
        by_step = None
        if self.spikes_by_step is not None and other.spikes_by_step is not None:
            by_step = tuple(a + b for a, b in zip(self.spikes_by_step, other.spikes_by_step, strict=True))
        merged: dict[str, Any] = {
            "samples": self.samples + other.samples,
            "steps_taken": self.steps_taken + other.steps_taken,
            "readouts": self.readouts + other.readouts,
            "spikes": summed(self.spikes, other.spikes),
            "input_spikes": self.input_spikes + other.input_spikes,
            "synops": summed(self.synops, other.synops),
            "pairs": self.pairs + other.pairs,
            "synops_by_layer": self.synops_by_layer + other.synops_by_layer,
            "updates": summed(self.updates, other.updates),
            "spikes_by_step": by_step,
        }
        return Totals(**{field.name: getattr(self, field.name) for field in fields(self)} | merged)


def totals_of(
    network: NetworkBase,
    counter: SpikeCounter,
    steps: int,
    steps_taken: int,
    rate_reference: tuple[float, float] | None = None,
    stopping: bool = False,
) -> Totals:
    """What ``counter`` saw of ``network`` in ``steps`` steps, ``steps_taken`` of all samples together.

    ``stopping`` says that every step decided whether to stop.
    """
    synapses, populations, ratios = network.synapses, network.populations, network.execution_plan.ratios
    streams = network.timing is None
    active = sum(float(synapses.fan_out_by_layer[name].sum()) * share for name, share in network.densities.items())
    whole = synapses.analog_macs + synapses.product_macs
    # A stream updates every neuron at every step, a pipeline only while it may matter.
    updates = {
        population.name: float(population.neurons * steps_taken) if streams else counter.updates[node]
        for node, population in populations.items()
    }
    # Where every sample stopped early, no spikes are left for the rest of the time.
    by_step = (*counter.by_step, *[0.0] * (steps - len(counter.by_step)))
    return Totals(
        samples=counter.samples,
        steps_taken=steps_taken,
        readouts=steps_taken if stopping else counter.samples,
        spikes=counter.spikes(),
        input_spikes=counter.input_spikes,
        synops=counter.synops(),
        pairs=counter.pairs(),
        synops_by_layer=sum(counter.synops_by_layer().values()),
        updates=updates,
        spikes_by_step=by_step if streams else None,
        steps=steps,
        setting=_setting(network),
        neurons={population.name: population.neurons for population in populations.values()},
        update_costs={each.name: cost_of_update(each.neuron, node in ratios) for node, each in populations.items()},
        ratios=tuple(populations[node].name for node in ratios),
        input_macs_per_presentation=0 if network.plan.input.spiking else synapses.input_macs,
        analog_macs=synapses.analog_macs,
        reference_macs=synapses.macs,
        # Paths that meet between two weighted operators are one multiplication, so the sum over paths may exceed it.
        # What stays real-valued follows smooth functions, which are nowhere zero: all of it is active. So is what
        # multiplies two signals, of which both would have to be counted together.
        reference_active_macs=min(active, float(synapses.macs - whole)) + whole,
        synops_are_bound=bool(synapses.bounds),
        rate_reference=rate_reference,
    )


def _setting(network: NetworkBase) -> str:
    rules = [f"{population.code} {type(population.neuron).__name__}" for population in network.populations.values()]
    return f"{network.plan.schedule}, input {network.plan.input}, {', '.join(rules)}"


def summed(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Sums by name; a name that only one of them has counts as 0 in the other."""
    return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in {**one, **other}}


def summed_counts(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    """Sums place by place; the shorter is continued by 0."""
    return tuple(a + b for a, b in zip_longest(one, other, fillvalue=0))


def check_alike(one: object, other: object, names: Sequence[str]) -> None:
    """Raise ``InputError`` unless both are results of one kind and have the same attributes ``names``."""
    if type(one) is not type(other):
        raise InputError(f"results of two kinds, {type(one).__name__} and {type(other).__name__}, cannot be merged")
    differing = [name for name in names if getattr(one, name) != getattr(other, name)]
    if differing:
        raise InputError(
            f"results that differ in {', '.join(differing)} cannot be merged: merge those of one network under one "
            "setting, measured on parts of one data set"
        )
