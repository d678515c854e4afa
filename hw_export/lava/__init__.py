"""Export to Intel's Lava: bundles, their report, and runs of them; nothing heavy is imported before it is needed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from hw_export.integers.network import IntegerNetwork
    from hw_export.lava.report import ExportReport
    from hw_export.lava.sessions import Session
    from snnconv.network import SpikingNetwork
    from snnconv.progress import ProgressCallback
    from snnconv.simulators import Run


def export(
    network: SpikingNetwork,
    path: str | os.PathLike[str],
    *,
    per: Literal["channel", "population"] | None = None,
    input_bits: int | None = None,
    weight_bits: int | Mapping[str, int] = 8,
    reset: Literal["zero"] | None = None,
    samples: Tensor | Sequence[Tensor] | None = None,
    allow_loss: float = 1.0,
    progress: ProgressCallback | None = None,
) -> ExportReport:
    """Write ``network`` as integers to the bundle ``path``, whole or not at all, and report what became of it.

    ``per`` says which weights share a step, those of a channel if not given. ``input_bits`` are those of an input; if
    not given, those with which outputs stay nearest are chosen. ``weight_bits`` are those of weights, 2 to 8, or by the
    name of the population or the output that receives them. ``reset="zero"`` replaces neurons of rate code by those
    that Lava has itself (LIFReset), which have one threshold per population, so ``per`` is then "population". What the
    network loses by all of this is measured on ``samples``, a batch, or on the calibration samples held out, which a
    network that was loaded has not. Integers that lose more than ``allow_loss`` percent of its decisions are refused.
    ``progress`` is called as this comes on; what it raises ends it, and nothing is written (see ``snnconv.Progress``).
    Raises ``ConfigurationError`` for what integers cannot represent, could overflow or lose too much by,
    ``StorageError`` if the file cannot be written.

    Example:
        >>> print(lava.export(snn, "network.npz"))
    """
    from hw_export.lava.exporting import export_network

    return export_network(
        network,
        path,
        per=per,
        input_bits=input_bits,
        weight_bits=weight_bits,
        reset=reset,
        samples=samples,
        allow_loss=allow_loss,
        progress=progress,
    )


def read(path: str | os.PathLike[str]) -> IntegerNetwork:
    """The integer network in the bundle ``path``, which other exporters take, such as ``hw_export.c.export``.

    Raises ``StorageError`` for a file that is no bundle, or describes what no export writes.
    """
    from hw_export.lava.reading import read_integers

    return read_integers(path)


def run(
    path: str | os.PathLike[str],
    inputs: Tensor | Sequence[Tensor],
    *,
    record: Sequence[str] = (),
    arithmetic: Literal["fixed", "float"] = "fixed",
    hardware: bool = False,
    interpreter: str | None = None,
    timeout: float = 3600.0,
    progress: ProgressCallback | None = None,
) -> Run:
    """Run the bundle ``path`` on Lava for a batch of ``inputs``, in a process of its own.

    ``record`` holds names of populations whose rasters to keep, or ``"rasters"`` for all. ``interpreter`` is a Python
    that has lava-nc, this one if not given; ``hardware`` compiles for Loihi 2 where Intel's libraries are. Raises
    ``StorageError`` for a file that is no bundle, ``InputError``, and ``LavaError`` for a run that fails or takes
    longer than ``timeout`` seconds; nothing of it is left running. ``progress`` is told of the samples that are done;
    what it raises ends the run.
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
        progress=progress,
    )
    return found


def session(
    path: str | os.PathLike[str],
    *,
    record: Sequence[str] = (),
    arithmetic: Literal["fixed", "float"] = "fixed",
    hardware: bool = False,
    interpreter: str | None = None,
    timeout: float = 3600.0,
    batch: int = 64,
) -> Session:
    """Start the bundle ``path`` on Lava once, for many runs: ``with lava.session(path) as session: session.run(x)``.

    Each run yields what ``run`` does, without the seconds that a start takes, and may take ``timeout`` seconds, the
    first one the start included. More samples than ``batch`` run in parts; files for ``batch`` samples are reserved.
    The other options are those of ``run``, and so are the errors; one in a run ends the session. When it is closed,
    nothing of it is left running.
    """
    from hw_export.lava.sessions import Session

    return Session(
        path,
        record=record,
        arithmetic=arithmetic,
        hardware=hardware,
        interpreter=interpreter,
        timeout=timeout,
        batch=batch,
    )
