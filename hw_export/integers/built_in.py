"""Neurons that Loihi 2 has without microcode, as Lava declares them: who could run on them, and why others cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hw_export.integers.declared import LARGEST_LIF_THRESHOLD, LIF
from hw_export.integers.network import IntegerNetwork, IntegerPopulation
from hw_export.integers.ranges import MembraneReach, reaches
from neurons import IntegrateFire
from neurons.integer_lookup import LookupRule
from neurons.integer_rules import StreamRule
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork


def with_hard_reset(network: SpikingNetwork) -> SpikingNetwork:
    """``network`` with neurons that start from 0 and are reset to 0, as Lava's own are.

    Raises ``ConfigurationError`` unless it is a stream of rate code without spikes below zero.
    """
    changed = {}
    for node, population in network.populations.items():
        neuron = population.neuron
        if network.timing is not None or not isinstance(neuron, IntegrateFire) or not neuron.unit_payload:
            raise ConfigurationError(
                f"{population.name}: reset='zero' is supported for integrate-and-fire neurons with rate code "
                f"under Concurrent(steps) only, not for {type(neuron).__name__} with {population.code.name} code: "
                "convert with coding=Rate(steps), schedule=Concurrent(steps) (--coding rate --steps N --concurrent N)"
            )
        changed[node] = replace(population, neuron=replace(neuron, reset="zero", initial_potential=0.0))
    return network.with_(populations=changed)


def built_in_reaches(integers: IntegerNetwork) -> dict[str, MembraneReach]:
    """How far membranes could go on Lava's own neurons, by node."""
    return {reach.node: reach for reach in reaches(integers, dict.fromkeys(integers.populations, LIF))}


def obstacle(population: IntegerPopulation, bound: MembraneReach) -> str | None:
    """What keeps a population from Lava's own LIF neuron, whose declared limits it must obey; ``None`` if nothing."""
    rule = population.rule
    if isinstance(rule, LookupRule):
        return "a table for each channel"
    if not isinstance(rule, StreamRule):
        return "window code"
    if rule.negative is not None:
        return "spikes below zero"
    if rule.gain > 1:
        return "burst code"
    if rule.reset != "zero":
        return "reset by subtraction"
    if rule.halved:
        return "an initial potential"
    thresholds, bias = np.unique(population.threshold), int(np.abs(population.bias).max())
    if len(thresholds) > 1:
        return f'{len(thresholds)} thresholds, where LIFReset has one; per="population"'
    if thresholds[0] > LARGEST_LIF_THRESHOLD:
        return f"a threshold of {thresholds[0]}, beyond {LARGEST_LIF_THRESHOLD}"
    if bias > LIF.bias:
        return f"a bias of {bias}, beyond +-{LIF.bias}"
    if bound.current > LIF.current:
        return f"up to {bound.current} may arrive in one step, beyond +-{LIF.current}; fewer input_bits or sources"
    if bound.size > LIF.membrane:
        far = f"its membrane may go from {bound.lowest} to {bound.highest}, beyond +-{LIF.membrane}"
        return f"{far}; fewer input_bits or steps"
    return None
