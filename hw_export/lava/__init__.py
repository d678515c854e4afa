"""Export to Intel's Lava: bundles, their report, and runs of them; nothing heavy is imported before it is needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from hw_export.lava.report import ExportReport
    from snnconv.network import SpikingNetwork
    from snnconv.progress import ProgressCallback
    from snnconv.simulators import Run


def export(
    network: SpikingNetwork,
    path: str | os.PathLike[str],
    *,
    per: Literal["channel", "population"] = "channel",
    input_bits: int = 10,
    reset: Literal["zero"] | None = None,
    samples: Tensor | Sequence[Tensor] | None = None,
    progress: ProgressCallback | None = None,
) -> ExportReport:
    """Write ``network`` as integers to the bundle ``path``, whole or not at all, and report what became of it.

    ``per`` says which weights share a step, ``input_bits`` how finely inputs are rounded. ``reset="zero"`` replaces
    neurons of rate code by those that Lava has itself (LIFReset). What the network loses by all of this is measured on
    ``samples``, a batch, or on the calibration samples held out, which a network that was loaded has not. ``progress``
    is called as this comes on; what it raises ends it, and nothing is written (see ``snnconv.Progress``). Raises
    ``ConfigurationError`` for what integers cannot represent or could overflow, ``StorageError`` if the file cannot be
    written.
    """
    from hw_export.lava.exporting import export_network

    return export_network(
        network, path, per=per, input_bits=input_bits, reset=reset, samples=samples, progress=progress
    )


def run(
    path: str | os.PathLike[str],
    inputs: Tensor | Sequence[Tensor],
    *,
    record: Sequence[str] = (),
    arithmetic: Literal["fixed", "float"] = "fixed",
    hardware: bool = False,
    interpreter: str | None = None,
    timeout: float = 3600.0,
) -> Run:
    """Run the bundle ``path`` on Lava for a batch of ``inputs``, in a process of its own.

    ``record`` holds names of populations whose rasters to keep, or ``"rasters"`` for all. ``interpreter`` is a Python
    that has lava-nc, this one if not given; ``hardware`` compiles for Loihi 2 where Intel's libraries are. Raises
    ``StorageError`` for a file that is no bundle, ``InputError``, and ``LavaError`` for a run that fails or takes
    longer than ``timeout`` seconds; nothing of it is left running.
    """
    from hw_export.lava.execution import run_bundle

    found, _ = run_bundle(
        path,
        inputs,
        record=record,
        arithmetic=arithmetic,
        hardware=hardware,
        interpreter=interpreter,
        timeout=timeout,
    )
    return found
