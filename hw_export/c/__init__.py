"""Export to C: a network as one header and one source in C99, with golden vectors; nothing is imported beforehand."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from hw_export.c.report import ProgramReport
    from hw_export.integers.network import IntegerNetwork
    from snnconv.network import SpikingNetwork
    from snnconv.progress import ProgressCallback


def export(
    network: SpikingNetwork | IntegerNetwork,
    directory: str | os.PathLike[str],
    *,
    name: str = "network",
    per: Literal["channel", "population"] = "channel",
    input_bits: int | None = None,
    weight_bits: int | Mapping[str, int] = 8,
    samples: Tensor | Sequence[Tensor] | None = None,
    allow_loss: float = 1.0,
    progress: ProgressCallback | None = None,
) -> ProgramReport:
    """Write ``network`` as a program in C99 to the folder ``directory``, whole or not at all, and report on it.

    The folder, which must be new or empty, gets ``name``.h and ``name``.c, the network in integers, and
    ``name``_test.c, a program that runs a few samples and holds spikes and sums to those of the integer reference.
    ``name`` must be an identifier of C, which all public names contain. ``per`` says which weights share a step.
    ``input_bits`` are those of an input; if not given, those with which outputs stay nearest are chosen.
    ``weight_bits`` are those of weights, 2 to 8, or by the name of the population or the output that receives them;
    programs hold weights in bytes, so fewer bits save no memory there. What the
    network loses by all of this is measured on ``samples``, a batch, or on the calibration samples held out, which a
    network that was loaded has not; the test runs the first of them, or random inputs. Integers that lose more than
    ``allow_loss`` percent of its decisions are refused. A network that is in integers already, as ``quantize`` makes
    it or ``hw_export.lava.read`` finds it in a bundle, is taken as it is, and nothing is measured. ``progress`` is
    called as this comes on; what it raises ends it, and nothing is written (see ``snnconv.Progress``). Raises
    ``ConfigurationError`` for what integers cannot represent, could overflow or lose too much by, for what has no
    index of 32 bits and for such a name, ``StorageError`` if the folder cannot be written, or holds anything.

    Example:
        >>> print(c.export(snn, "network_c"))
    """
    from hw_export.c.exporting import export_network

    return export_network(
        network,
        directory,
        name=name,
        per=per,
        input_bits=input_bits,
        weight_bits=weight_bits,
        samples=samples,
        allow_loss=allow_loss,
        progress=progress,
    )
