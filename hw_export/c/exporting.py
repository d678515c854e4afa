"""From a network to a folder with a program in C, its golden vectors and its report."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor

from hw_export.c.identifiers import check_name
from hw_export.c.program import program
from hw_export.c.report import ProgramReport, report_of
from hw_export.c.self_test import self_test
from hw_export.c.vectors import golden_vectors, random_inputs
from hw_export.integers.assessment import assessed
from hw_export.integers.fidelity import chunks_of
from hw_export.integers.network import Per
from hw_export.integers.quantization import quantize
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.storage.atomic import check_new_folder, write_new_folder
from snnconv.surroundings import own_surroundings

#: Samples that golden vectors are made of.
_VECTORS = 4


@own_surroundings()
def export_network(
    network: SpikingNetwork,
    directory: str | os.PathLike[str],
    *,
    name: str,
    per: Per,
    input_bits: int | None,
    samples: Tensor | Sequence[Tensor] | None,
    allow_loss: float,
    progress: ProgressCallback | None,
) -> ProgramReport:
    """Quantise ``network``, write its program and say what became of it; see ``hw_export.c.export``."""
    check_name(name)
    check_new_folder(directory)
    chunks = chunks_of(network, samples)
    integers = quantize(network, per=per, input_bits=input_bits, samples=chunks, progress=progress)
    written = program(integers, name)
    measured = assessed(integers, {"as converted": network}, chunks, allow_loss, progress)
    if chunks:
        first = [torch.cat(column)[:_VECTORS].cpu().numpy() for column in zip(*chunks, strict=True)]
        pairs = zip(integers.inputs.items(), first, strict=True)
        inputs = {node: taken.taken(values) for (node, taken), values in pairs}
        source = f"{len(first[0])} samples of those {'given' if samples is not None else 'held out'}"
    else:
        inputs, source = random_inputs(integers, _VECTORS), f"{_VECTORS} random inputs"
    vectors = golden_vectors(integers, inputs, source, progress)
    report = report_of(written, vectors, measured)
    texts = {f"{name}.h": written.header, f"{name}.c": written.source, f"{name}_test.c": self_test(written, vectors)}
    write_new_folder(directory, {file: text.encode() for file, text in texts.items()})
    return report
