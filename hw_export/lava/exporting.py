"""From a converted network to a Lava bundle and its report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from torch import Tensor

from hw_export.integers.fidelity import fidelities
from hw_export.integers.network import Per
from hw_export.integers.quantization import quantize
from hw_export.integers.simulation import integer_simulation
from hw_export.lava.bundle import write_bundle
from hw_export.lava.report import BUILT_IN_LIMIT, ExportReport, notes, placements
from neurons import IntegrateFire
from neurons.integer_lookup import MEMBRANE_LIMIT
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.surroundings import own_surroundings


@own_surroundings()
def export_network(
    network: SpikingNetwork,
    path: str | os.PathLike[str],
    *,
    per: Per,
    input_bits: int,
    reset: Literal["zero"] | None,
    samples: Tensor | Sequence[Tensor] | None,
    progress: ProgressCallback | None,
) -> ExportReport:
    """Quantise ``network``, write its bundle and say what became of it; see ``hw_export.lava.export``."""
    if reset not in (None, "zero"):
        raise ConfigurationError(f"reset must be 'zero' or None, got {reset!r}")
    exported = network if reset is None else with_hard_reset(network)
    limit = MEMBRANE_LIMIT if reset is None else BUILT_IN_LIMIT
    integers = quantize(exported, per=per, input_bits=input_bits, membrane_limit=limit, progress=progress)
    simulation = integer_simulation(integers)
    reset_to_zero = {} if exported is network else {"reset to zero": exported}
    networks = {"as converted": network, **reset_to_zero, "as integers": simulation}
    measured = fidelities(networks, network, samples, progress)
    report = ExportReport(placements(integers), notes(integers), measured)
    write_bundle(integers, path)
    return report


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
                f"under Concurrent(steps) only, not for {type(neuron).__name__} with {population.code.name} code"
            )
        changed[node] = replace(population, neuron=replace(neuron, reset="zero", initial_potential=0.0))
    return network.with_(populations=changed)
