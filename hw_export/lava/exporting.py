"""From a converted network to a Lava bundle and its report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor

from hw_export.integers.assessment import UNMEASURED, assessed
from hw_export.integers.built_in import with_hard_reset
from hw_export.integers.declared import LIF
from hw_export.integers.fidelity import chunks_of
from hw_export.integers.network import Per
from hw_export.integers.quantization import quantize
from hw_export.lava.bundle import write_bundle
from hw_export.lava.placing import placements
from hw_export.lava.report import ExportReport, notes
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.surroundings import own_surroundings


@own_surroundings()
def export_network(
    network: SpikingNetwork,
    path: str | os.PathLike[str],
    *,
    per: Per | None,
    input_bits: int | None,
    weight_bits: int | Mapping[str, int],
    reset: Literal["zero"] | None,
    samples: Tensor | Sequence[Tensor] | None,
    allow_loss: float,
    progress: ProgressCallback | None,
) -> ExportReport:
    """Quantise ``network``, write its bundle and say what became of it; see ``hw_export.lava.export``."""
    if reset not in (None, "zero"):
        raise ConfigurationError(f"reset must be 'zero' or None, got {reset!r}")
    networks = {"as converted": network}
    if reset is not None:
        networks["reset to zero"] = with_hard_reset(network)
    *_, exported = networks.values()
    chunks = chunks_of(network, samples)
    integers = quantize(
        exported,
        per=per or ("channel" if reset is None else "population"),
        input_bits=input_bits,
        weight_bits=weight_bits,
        samples=chunks,
        limits=None if reset is None else LIF,
        progress=progress,
    )
    measured = assessed(integers, networks, chunks, allow_loss, progress)
    said = notes(integers) if measured else (*notes(integers), UNMEASURED)
    report = ExportReport(placements(integers), said, measured)
    write_bundle(integers, path)
    return report
