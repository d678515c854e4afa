"""Programs in C against the integer reference: every spike of every population at every step, and every sum."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.c_programs import CompiledProgram, ProgramRun, differing, rasters
from hw_export.c.program import program
from hw_export.integers.quantization import quantize
from hw_export.integers.ranges import reaches
from hw_export.integers.reference import run_reference
from neurons.integer_lookup import MEMBRANE_LIMIT
from tests.hw_export.c.c_networks import FAMILIES, Expected, expected
from tests.hw_export.c.conftest import STRICT

SANITIZED = ("-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover")


def assert_alike(of: Expected, compiled: CompiledProgram) -> ProgramRun:
    """All payloads and sums are equal, and no neuron sends nothing, or twice in a step."""
    run = compiled.run(of.inputs)
    assert run.events is not None and len(run.events) == sum(of.run.spikes.values())
    found = rasters(compiled.program, run, len(next(iter(of.inputs.values()))))
    for node, raster in of.run.rasters.items():
        np.testing.assert_array_equal(found[node], raster, err_msg=node)
    for node, sums in of.run.sums.items():
        np.testing.assert_array_equal(run.sums[node], sums, err_msg=node)
    assert differing(compiled.program, run, of.run) == 0
    return run


@pytest.mark.parametrize("family", FAMILIES)
def test_all_spikes_and_sums_are_those_of_the_reference(family: str, compiler: str, tmp_path: Path) -> None:
    """Under sanitizers, which end a program that overflows, or reads or writes beyond an array."""
    of = expected(family)
    assert sum(of.run.spikes.values()) > 50
    written = program(of.integers, "network")
    compiled = CompiledProgram(written, tmp_path, compiler, [*STRICT, *SANITIZED], spikes=True)
    assert assert_alike(of, compiled).state == written.ram


@pytest.mark.parametrize("family", ["residual, rate", "leaky, graded burst", "pooled, few-spike", "smooth, both"])
def test_compilers_that_optimise_make_the_same_of_it(family: str, compiler: str, tmp_path: Path) -> None:
    of = expected(family)
    assert_alike(
        of, CompiledProgram(program(of.integers, "network"), tmp_path, compiler, [*STRICT, "-O2"], spikes=True)
    )


@pytest.mark.parametrize("family", ["residual, rate", "leaky, rate", "pooled, phase", "smooth, both"])
def test_the_largest_inputs_overflow_nothing(family: str, compiler: str, tmp_path: Path) -> None:
    """Inputs of 14 bits at their ends, or beyond; in streams membranes behind them saturate, as the reference's do."""
    network = FAMILIES[family]()
    integers = quantize(network, input_bits=14)
    saturating = {reach.node for reach in reaches(integers) if reach.size == MEMBRANE_LIMIT}
    assert bool(saturating) == (family in ("residual, rate", "leaky, rate"))
    (taken,) = integers.inputs.values()
    signs = np.random.default_rng(0).integers(0, 2, (4, 2, 8, 8))
    signs[:2] = np.array([0, 1])[:, None, None, None]
    inputs = {node: np.where(signs == 1, taken.largest, taken.smallest) for node in integers.inputs}
    run = run_reference(integers, inputs, list(integers.explicit.shapes))
    compiled = CompiledProgram(program(integers, "network"), tmp_path, compiler, [*STRICT, *SANITIZED], spikes=True)
    assert_alike(Expected(integers, inputs, run), compiled)
    beyond = {node: np.where(signs == 1, 2**15 - 1, -(2**15)) for node in integers.inputs}
    for node, sums in compiled.run(beyond).sums.items():
        np.testing.assert_array_equal(sums, run.sums[node])


@pytest.mark.parametrize("family", ["leaky, burst", "smooth, both"])
def test_clang_makes_the_same_of_it(family: str, tmp_path: Path) -> None:
    clang = shutil.which("clang")
    if clang is None:
        pytest.skip("clang is not installed")
    of = expected(family)
    assert_alike(of, CompiledProgram(program(of.integers, "network"), tmp_path, clang, [*STRICT, "-O2"], spikes=True))
