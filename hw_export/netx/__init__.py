"""Export to netx, the HDF5 networks of Intel's lava-dl; nothing heavy is imported before it is needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from hw_export.netx.report import NetxReport
    from snnconv.network import SpikingNetwork
    from snnconv.progress import ProgressCallback


def export(
    network: SpikingNetwork,
    path: str | os.PathLike[str],
    *,
    input_bits: int | None = None,
    reset: Literal["zero"] | None = None,
    samples: Tensor | Sequence[Tensor] | None = None,
    allow_loss: float = 1.0,
    progress: ProgressCallback | None = None,
) -> NetxReport:
    """Write ``network`` as integers to ``path``, a network of lava-dl's netx, whole or not at all, and report on it.

    It must be a chain of convolutions and dense layers in rate code, whose neurons start from zero and are reset to
    zero; ``reset="zero"`` exchanges neurons that are not for such. Weights of a population share a step. ``input_bits``
    are those of an input; if not given, those with which outputs stay nearest are chosen. What the network loses by all
    of this is measured on ``samples``, a batch, or on the calibration samples held out, which a network that was loaded
    has not. Integers that lose more than ``allow_loss`` percent of its decisions are refused. ``progress`` is called as
    this comes on; what it raises ends it, and nothing is written (see ``snnconv.Progress``). Raises
    ``ConfigurationError`` for what netx has no layer for, what leaves the bits that its neurons declare and what
    integers cannot represent or lose too much by, and without h5py, ``StorageError`` if the file cannot be written.
    """
    from hw_export.netx.exporting import export_network

    return export_network(
        network,
        path,
        input_bits=input_bits,
        reset=reset,
        samples=samples,
        allow_loss=allow_loss,
        progress=progress,
    )
