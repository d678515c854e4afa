"""From a network to a folder with a program in C, its golden vectors and its report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from hw_export.c.identifiers import check_name
from hw_export.c.program import CProgram, program
from hw_export.c.report import ProgramReport, report_of
from hw_export.c.self_test import self_test
from hw_export.c.vectors import Vectors, golden_vectors, random_inputs
from hw_export.integers.assessment import UNMEASURED, assessed
from hw_export.integers.fidelity import Fidelity, chunks_of
from hw_export.integers.network import MOST_WEIGHT_BITS, IntegerNetwork, Per
from hw_export.integers.quantization import quantize
from hw_export.integers.rewriting import rewritten
from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.storage.atomic import check_new_folder, write_new_folder
from snnconv.surroundings import own_surroundings

#: Samples that golden vectors are made of.
_VECTORS = 4
_WHOLE = "the network was in integers already: what was rewritten and what it loses was said when it became so"


@own_surroundings()
def export_network(
    network: SpikingNetwork | IntegerNetwork,
    directory: str | os.PathLike[str],
    *,
    name: str,
    per: Per,
    input_bits: int | None,
    weight_bits: int | Mapping[str, int],
    samples: Tensor | Sequence[Tensor] | None,
    allow_loss: float,
    progress: ProgressCallback | None,
) -> ProgramReport:
    """Quantise ``network``, write its program and say what became of it; see ``hw_export.c.export``."""
    check_name(name)
    check_new_folder(directory)
    if isinstance(network, IntegerNetwork):
        if per != "channel" or input_bits is not None or weight_bits != MOST_WEIGHT_BITS:
            raise ConfigurationError(
                "the network is in integers already: leave per, input_bits and weight_bits out, or export what it was "
                "made of"
            )
        written, chunks = program(network, name), chunks_of(network.network, samples)
        notes, measured = [_WHOLE], dict[str, Fidelity]()
    else:
        chunks = chunks_of(network, samples)
        integers = quantize(
            network, per=per, input_bits=input_bits, weight_bits=weight_bits, samples=chunks, progress=progress
        )
        written = program(integers, name)
        measured = dict(assessed(integers, {"as converted": network}, chunks, allow_loss, progress))
        notes = rewritten(integers) + ([] if measured else [UNMEASURED])
    vectors = _vectors(written.integers, chunks, progress)
    report = report_of(written, vectors, notes, measured)
    _write(directory, written, vectors)
    return report


def _vectors(integers: IntegerNetwork, chunks: Sequence[Inputs], progress: ProgressCallback | None) -> Vectors:
    if not chunks:
        return golden_vectors(integers, random_inputs(integers, _VECTORS), f"{_VECTORS} random inputs", progress)
    first = [torch.cat(column)[:_VECTORS].cpu().numpy() for column in zip(*chunks, strict=True)]
    pairs = zip(integers.inputs.items(), first, strict=True)
    inputs = {node: taken.taken(values) for (node, taken), values in pairs}
    return golden_vectors(integers, inputs, f"{len(first[0])} samples", progress)


def _write(directory: str | os.PathLike[str], written: CProgram, vectors: Vectors) -> None:
    name = written.name
    texts = {f"{name}.h": written.header, f"{name}.c": written.source, f"{name}_test.c": self_test(written, vectors)}
    write_new_folder(directory, {file: text.encode() for file, text in texts.items()})
