"""The door to programs in C: what is written, what it says of itself, and what is refused with nothing written."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

import snnconv
from coding import Burst, Concurrent, FewSpike, Rate
from hw_export import c, lava
from hw_export.c import draft
from hw_export.c.header import header
from hw_export.c.identifiers import as_comment, identifiers
from hw_export.c.phases import begin
from hw_export.c.program import program
from hw_export.c.report import ProgramReport
from hw_export.c.vectors import golden_vectors
from hw_export.commands import add_commands
from hw_export.integers.network import IntegerInput
from hw_export.integers.parallel import merged
from hw_export.lava.bundle import write_bundle
from snnconv import ConfigurationError, InputError, StorageError
from tests.hw_export.c.c_networks import expected, integer
from tests.hw_export.c.conftest import STRICT
from tests.support.exported import converted, images

app = typer.Typer()
add_commands(app)


def run_test(folder: Path, compiler: str, name: str = "network") -> subprocess.CompletedProcess[str]:
    """Compile and run the test that was exported."""
    command = [compiler, *STRICT, "-O1", "-o", "test", f"{name}_test.c"]
    subprocess.run(command, cwd=folder, check=True)
    return subprocess.run([folder / "test"], capture_output=True, text=True, check=False)


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ProgramReport]:
    folder = tmp_path_factory.mktemp("exported") / "leaky"
    return folder, c.export(converted("leaky", "few-spike"), folder, name="leaky", input_bits=8)


def test_an_export_is_three_files_of_which_one_tests_the_others(
    exported: tuple[Path, ProgramReport], compiler: str
) -> None:
    folder, report = exported
    assert sorted(path.name for path in folder.iterdir()) == ["leaky.c", "leaky.h", "leaky_test.c"]
    assert run_test(folder, compiler, "leaky").stdout == "leaky: all spikes and sums of 4 samples are those expected\n"
    assert report.measured_on == "4 samples" and "as integers" in report.fidelity
    assert f"State: {report.ram} bytes. Constant tables: {report.flash} bytes." in (folder / "leaky.h").read_text()


def test_programs_have_neither_fractions_nor_a_heap_nor_pointers_beside_their_arguments(
    exported: tuple[Path, ProgramReport],
) -> None:
    folder, _ = exported
    source = without_comments((folder / "leaky.c").read_text())
    assert not re.findall(r"\b(float|double|malloc|free|goto)\b|\d\.\d", source)
    assert set(re.findall(r"#include (\S+)", source)) == {'"leaky.h"'}
    assert set(re.findall(r"[\w]+ \*\w+", source)) <= {
        "snnconv_leaky_state *state",
        "snnconv_leaky_input *input",
        "snnconv_leaky_output *output",
    }
    assert not re.findall(r"\b(int|long|short|unsigned|char)\b", source), "types of exact width alone"
    bounds = re.findall(r"for \(int32_t \w+ = 0; \w+ < (\w+); \+\+\w+\)", source)
    assert len(bounds) == source.count("for (") and all(bound.isdigit() for bound in bounds)


def test_bytes_of_tables_and_state_are_those_of_the_compiler(
    exported: tuple[Path, ProgramReport], compiler: str, tmp_path: Path
) -> None:
    folder, report = exported
    subprocess.run([compiler, *STRICT, "-O0", "-c", folder / "leaky.c", "-o", tmp_path / "object"], check=True)
    symbols = subprocess.run(["nm", "-S", tmp_path / "object"], capture_output=True, text=True, check=True).stdout
    sizes = [int(line.split()[1], 16) for line in symbols.splitlines() if line.split()[2:3] in (["r"], ["b"], ["d"])]
    assert sum(sizes) == report.flash == sum(part.flash for part in report.parts)
    assert 0 <= report.ram - sum(part.ram for part in report.parts) < 8, "the number of the step, and padding"


@pytest.mark.parametrize("family", ["residual, few-spike", "pooled, rate", "sequences, burst", "geometries, rate"])
def test_additions_are_one_for_each_synapse_that_a_spike_meets(family: str) -> None:
    of = expected(family)
    vectors = golden_vectors(of.integers, of.inputs, "a test")
    windowed = of.integers.network.timing is not None
    for target in (*of.integers.populations, *of.integers.outputs):
        found = 0.0
        for connection in merged(of.integers.into(target)):  # those in parallel are one weight in C
            rasters = of.run.rasters.get(connection.source)
            # An input arrives once in a pipeline; in a stream it is added up once, and the sum at every step.
            sent = of.inputs[connection.source][:, None] if rasters is None else rasters
            times = (sent != 0).sum(1)
            ones = connection.map.mapped(lambda weights: np.ones_like(weights, np.float64))
            found += float(ones.apply(times).sum()) / len(times)
        assert vectors.additions[target] == pytest.approx(found) and (found > 0 or windowed)
    assert vectors.spikes.sum(0).tolist() == [of.run.spikes[node] for node in of.integers.explicit.shapes]


def altered(text: str, table: str) -> str:
    """``text`` with another first number in the constant array ``table``."""

    def other(found: re.Match[str]) -> str:
        return found[1] + str(int(found[2]) - (1 if int(found[2]) > 0 else -1))

    return re.sub(rf"({table}\[\d+\] = {{\s+)(-?\d+)", other, text)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("threshold_leaky_relu_1", r"the spikes of leaky_relu_1 at step \d+ differ; it fired \d+ in all, and \d+ are"),
        ("weights_0", r"the spikes of leaky_relu at step \d differ"),
        ("weights_2", r"sum \d+ of conv2d_2 is -?\d+, and -?\d+ is expected"),
    ],
)
def test_the_test_says_where_a_program_differs_first(
    table: str, said: str, exported: tuple[Path, ProgramReport], compiler: str, tmp_path: Path
) -> None:
    folder, _ = exported
    for path in folder.glob("leaky*.[ch]"):
        (tmp_path / path.name).write_text(altered(path.read_text(), f"leaky_{table}"))
    assert (tmp_path / "leaky.c").read_text() != (folder / "leaky.c").read_text()
    run = run_test(tmp_path, compiler, "leaky")
    assert run.returncode == 1 and re.match(rf"sample \d: {said}", run.stdout)


def test_several_programs_go_into_one_file(compiler: str, tmp_path: Path) -> None:
    lines = []
    for name, family in {"one": "joint, rate", "two": "smooth, both"}.items():
        written = program(integer(family), name)
        (tmp_path / f"{name}.h").write_text(written.header)
        (tmp_path / f"{name}.c").write_text(written.source)
        lines.append(f'#include "{name}.c"')
    (tmp_path / "both.c").write_text("\n".join(lines) + "\n")
    subprocess.run([compiler, *STRICT, "-O0", "-c", tmp_path / "both.c", "-o", tmp_path / "object"], check=True)


@pytest.mark.parametrize(
    ("smallest", "largest", "type"),
    [(0, 255, "uint8_t"), (0, 65535, "uint16_t"), (-127, 100, "int8_t"), (-100, 511, "int16_t")],
)
def test_inputs_have_the_narrowest_type_and_are_brought_to_their_ends(smallest: int, largest: int, type: str) -> None:
    integers = integer("residual, few-spike")
    changed = replace(integers, inputs=dict.fromkeys(integers.inputs, IntegerInput(1.0, smallest, largest)))
    made = draft.Draft(changed, "network")
    assert f"    {type} x[128]; /* 2 x 8 x 8 */" in header(made, dict.fromkeys(integers.outputs, "int32_t"))
    source = begin(made, {"x": "send"})
    assert f"value > {largest} ? {largest} : value" in source and f"value < {smallest} ? {smallest} : value" in source


def test_networks_without_samples_are_tested_by_random_inputs(compiler: str, tmp_path: Path) -> None:
    converted("residual", "rate").save(tmp_path / "network.snn")
    report = c.export(snnconv.load(tmp_path / "network.snn"), tmp_path / "out", input_bits=6)
    assert report.measured_on == "4 random inputs" and not report.fidelity
    assert "was not measured" in str(report) and report.to_dict()["additions"] > 0
    assert run_test(tmp_path / "out", compiler).returncode == 0


def test_samples_are_measured_and_those_that_do_not_belong_refused(tmp_path: Path) -> None:
    network = converted("residual", "few-spike")
    report = c.export(network, tmp_path / "out", samples=images(20), input_bits=8)
    assert report.fidelity["as integers"].samples == 20 and report.measured_on == "4 samples"
    with pytest.raises(InputError):
        c.export(network, tmp_path / "other", samples=torch.zeros(3, 2, 7, 8))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("family", ["leaky, graded burst", "smooth, both", "pooled, rate", "sequences, few-spike"])
def test_a_bundle_becomes_the_program_that_its_network_becomes(family: str, tmp_path: Path) -> None:
    write_bundle(integer(family), tmp_path / "network.npz")
    ours, theirs = (program(each, "network") for each in (integer(family), lava.read(tmp_path / "network.npz")))
    assert theirs.source == ours.source and theirs.header == ours.header


def test_networks_in_integers_are_taken_as_they_are(compiler: str, tmp_path: Path) -> None:
    report = c.export(integer("residual, few-spike"), tmp_path / "out", samples=images(2))
    assert "in integers already" in str(report) and not report.fidelity and report.measured_on == "2 samples"
    assert run_test(tmp_path / "out", compiler).returncode == 0
    for options in ({"per": "population"}, {"input_bits": 4}, {"weight_bits": 4}):
        with pytest.raises(ConfigurationError, match="leave per, input_bits and weight_bits out"):
            c.export(integer("residual, few-spike"), tmp_path / "other", **options)


def test_programs_of_mixed_bits_fire_spike_for_spike(compiler: str, tmp_path: Path) -> None:
    network = converted("residual", "few-spike")
    bits = {population.name: 3 + place for place, population in enumerate(network.populations.values())}
    report = c.export(network, tmp_path / "out", weight_bits=bits, samples=images(3), allow_loss=100.0)
    assert run_test(tmp_path / "out", compiler).returncode == 0
    assert all(f"{each} bits for {name}" in str(report) for name, each in bits.items())


def test_names_of_populations_become_identifiers_and_no_end_of_a_comment() -> None:
    names = ["layer1.0.relu", "layer1_0_relu", "2nd", "if", "*/", "ü", "relu"]
    found = list(identifiers((str(number), name) for number, name in enumerate(names)).values())
    assert found == ["layer1_0_relu", "layer1_0_relu_2", "n2nd", "if_2", "node", "node_2", "relu"]
    assert list(identifiers([("0", "this"), ("1", "linux")]).values()) == ["this_2", "linux_2"], "C++ includes headers"
    assert as_comment('a*/b"\\\n??/') == "a__b______"


# Refusals


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("2nd", "must be a C identifier"),
        ("a b", "must be a C identifier"),
        ("", "must be a C identifier"),
        ("größe", "must be a C identifier"),
        (None, "must be a C identifier"),
        ("while", "is a keyword of C"),
        ("n" * 40, "at most 24 characters"),
    ],
)
def test_names_that_no_program_may_have_are_refused(name: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        c.export(converted("residual", "rate"), tmp_path / "out", name=name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"per": "layer"}, "per must be one of channel, population"),
        ({"input_bits": 1}, "input_bits must lie between"),
        ({"allow_loss": -1.0}, "allow_loss is in percent"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        c.export(converted("residual", "rate"), tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_files_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match="is a folder with files in it; name a new one"):
        c.export(converted("residual", "rate"), tmp_path, progress=lambda _: pytest.fail("computed"))
    with pytest.raises(StorageError, match="it is no folder"):
        c.export(converted("residual", "rate"), tmp_path / "notes.txt", progress=lambda _: pytest.fail("computed"))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


class Squared(nn.Module):
    """A product of two signals."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        product = torch.relu(self.one(x)) * torch.relu(self.two(x))
        return self.last(torch.relu(product))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        (Squared, {"coding": FewSpike(6)}, "product"),
        (
            lambda: nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)),
            {"coding": Burst(8), "schedule": Concurrent(8)},
            "largest_gain",
        ),
        (
            lambda: nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)),
            {"coding": Rate(8), "schedule": Concurrent(8), "neuron": "corrective"},
            "cannot be exported",
        ),
    ],
)
def test_what_integers_cannot_say_is_refused_and_nothing_written(
    model: Any, options: Any, reason: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = snnconv.convert(model().eval(), torch.rand(40, 6), **options)
    with pytest.raises(ConfigurationError, match=reason):
        c.export(network, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_has_no_index_of_32_bits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    integers = integer("residual, few-spike")
    monkeypatch.setattr(draft, "_LARGEST_INDEX", 1000)
    with pytest.raises(ConfigurationError, match="relu: a state of 1040 bytes has no index of 32 bits"):
        program(integers, "network")
    made, (node, *_) = draft.Draft(integers, "network"), integers.populations
    with pytest.raises(ConfigurationError, match="relu: a table of 1001 numbers has no index of 32 bits"):
        made.table(node, "weights", np.zeros(1001, np.int64))


def test_an_export_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    def stop(progress: snnconv.Progress) -> None:
        if progress.what == "computing golden vectors":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        c.export(converted("residual", "few-spike"), tmp_path / "out", input_bits=8, progress=stop)
    assert not list(tmp_path.iterdir())


# The command line


def invoke(*arguments: Any) -> Any:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_the_command_line_exports_to_c(compiler: str, tmp_path: Path) -> None:
    network = tmp_path / "network.snn"
    converted("residual", "few-spike").save(network)
    np.savez(tmp_path / "data.npz", inputs=images(8).numpy())
    options = ("--target", "c", "--name", "res", "--data", tmp_path / "data.npz", "--json", tmp_path / "report.json")
    found = invoke(network, "-o", tmp_path / "out", *options)
    assert found.exit_code == 0, found.output
    assert json.loads((tmp_path / "report.json").read_text())["name"] == "res"
    assert "bytes of constant tables" in found.output and f"written: {tmp_path / 'out'}" in found.output
    assert run_test(tmp_path / "out", compiler, "res").returncode == 0


def test_the_command_line_makes_programs_of_bundles(compiler: str, tmp_path: Path) -> None:
    write_bundle(integer("pooled, rate"), tmp_path / "network.npz")
    found = invoke(tmp_path / "network.npz", "-o", tmp_path / "out", "--target", "c")
    assert found.exit_code == 0, found.output
    assert run_test(tmp_path / "out", compiler).returncode == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--target", "c", "--reset", "zero"), "--reset is for --target lava"),
        (("--target", "lava", "--name", "x"), "--name is for --target c"),
        (("--target", "verilog"), "--target must be one of lava, c"),
        (("--target", "c", "--name", "if"), "keyword of C"),
    ],
)
def test_options_of_another_target_are_refused(options: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    found = invoke(tmp_path / "network.snn", "-o", tmp_path / "out", *options)
    assert isinstance(found.exception, ConfigurationError) and reason in str(found.exception)
    assert not list(tmp_path.iterdir())
