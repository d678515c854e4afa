"""From a converted network to a file for netx and its report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from coding.optional import imported
from hw_export.integers.assessment import assessed
from hw_export.integers.built_in import with_hard_reset
from hw_export.integers.declared import LIF
from hw_export.integers.fidelity import chunks_of
from hw_export.integers.quantization import quantize
from hw_export.netx.chain import chain
from hw_export.netx.layout import content
from hw_export.netx.report import NetxReport, report_of
from neurons import IntegrateFire
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.storage.atomic import write_whole
from snnconv.surroundings import own_surroundings


@own_surroundings()
def export_network(
    network: SpikingNetwork,
    path: str | os.PathLike[str],
    *,
    input_bits: int | None,
    reset: Literal["zero"] | None,
    samples: Tensor | Sequence[Tensor] | None,
    allow_loss: float,
    progress: ProgressCallback | None,
) -> NetxReport:
    """Quantise ``network``, write it for netx and say what became of it; see ``hw_export.netx.export``."""
    if reset not in (None, "zero"):
        raise ConfigurationError(f"reset must be 'zero' or None, got {reset!r}")
    imported("h5py", "snnconv[nir]")
    hard = with_hard_reset(network)
    if reset is None:
        _check_reset(network)
    networks = {"as converted": network} if reset is None else {"as converted": network, "reset to zero": hard}
    chunks = chunks_of(network, samples)
    integers = quantize(hard, per="population", input_bits=input_bits, samples=chunks, limits=LIF, progress=progress)
    layers = chain(integers)
    measured = assessed(integers, networks, chunks, allow_loss, progress)
    report = report_of(integers, layers, measured)
    write_whole(path, content(integers, layers))
    return report


def _check_reset(network: SpikingNetwork) -> None:
    """Raise ``ConfigurationError`` for neurons in whose place netx would have others."""
    for population in network.populations.values():
        neuron = population.neuron
        assert isinstance(neuron, IntegrateFire)
        start = neuron.code.initial_potential if neuron.initial_potential is None else neuron.initial_potential
        if neuron.reset != "zero" or start != 0.0:
            raise ConfigurationError(
                f"{population.name}: neurons of netx start from 0 and are reset to zero, these start from {start:g} "
                f"thresholds and have reset={neuron.reset!r}; reset='zero' (--reset zero) exchanges them, and the "
                "report says what that costs"
            )
