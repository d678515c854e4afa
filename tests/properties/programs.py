"""What a program in C is held to: the integer reference, where there is a compiler."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.c_programs import CompiledProgram, differing
from hw_export.c.program import program
from hw_export.integers.reference import run_reference
from tests.properties.registry import holds
from tests.support.random_networks.specimen import Specimen

#: Samples that run, few since the sanitizers take their time.
_SAMPLES = 3
_OPTIONS = (
    "-O0",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wconversion",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover",
)


@holds(
    "programs in C fire as integers do", lambda specimen: specimen.integers is not None and bool(shutil.which("gcc"))
)
def programs_fire_as_integers_do(specimen: Specimen) -> None:
    """A program sends the payloads of the reference, and yields its sums; the sanitizers find nothing."""
    integers = specimen.integers
    assert integers is not None
    values = {
        name: integers.inputs[name].taken(tensor.numpy())[:_SAMPLES]
        for name, tensor in zip(specimen.network.graph.inputs, specimen.inputs, strict=True)
        if name in integers.inputs
    }
    expected = run_reference(integers, values, list(integers.explicit.shapes))
    with TemporaryDirectory() as folder:
        written = program(integers, "network")
        run = CompiledProgram(written, Path(folder), "gcc", _OPTIONS, spikes=True).run(values)
    assert run.events is not None and len(run.events) == sum(expected.spikes.values())
    assert differing(written, run, expected) == 0
