"""Integers of fewer bits: their levels, and the sweep that measures what they keep."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from matplotlib import pyplot
from torch import nn
from typer.testing import CliRunner

import snnconv
from coding import Burst, Concurrent, Rate
from hw_export.commands import add_commands
from hw_export.integers import IntegerNetwork, bit_sweep, integer_simulation, quantize
from hw_export.integers.bit_sweeping import BitSweep
from hw_export.integers.fidelity import decisions, fidelity, original_outputs, outputs_of
from hw_export.integers.mixed_bits import mixed_bits, weights_of
from hw_export.integers.network import largest_weight
from hw_export.integers.reference import run_reference
from hw_export.integers.rewriting import rewritten
from snnconv import ConfigurationError, InputError
from tests.support.exported import converted, images, looked_up
from tests.support.networks import Perceptron, draw, prepared

NETWORKS: dict[str, Any] = {
    "residual, rate": lambda: converted("residual", "rate"),
    "residual, few-spike": lambda: converted("residual", "few-spike"),
    "smooth, looked up": lambda: looked_up("both"),
}


def sizes(integers: IntegerNetwork) -> list[int]:
    return [int(np.abs(each.map.weights.astype(np.int64)).max()) for each in integers.connections]


@pytest.mark.parametrize("per", ["channel", "population"])
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_have_the_levels_of_their_bits_and_no_more(name: str, per: Any) -> None:
    """2^(b - 1) - 1 is the largest, and an output uses more than half of them, whatever finer payloads take."""
    assert [largest_weight(bits) for bits in range(2, 9)] == [1, 3, 7, 15, 31, 63, 127]
    for bits in (2, 3, 5, 8):
        integers = quantize(NETWORKS[name](), per=per, input_bits=6, weight_bits=bits)
        (output,) = integers.outputs
        assert max(sizes(integers)) <= largest_weight(bits) == 2 ** (bits - 1) - 1
        used = max(int(np.abs(each.map.weights).max()) for each in integers.into(output))
        assert used > largest_weight(bits) / 2
        assert f"weights have at most {bits} bits" in " ".join(rewritten(integers))


def test_integers_of_few_bits_are_simulated_exactly() -> None:
    integers = quantize(converted("residual", "rate"), input_bits=4, weight_bits=3)
    ((node, taken),), x = integers.inputs.items(), images(3, seed=5)
    sums = run_reference(integers, {node: taken.taken(x.numpy())}).sums
    ((name, output),) = integers.outputs.items()
    expected = sums[name] * output.step / integers.steps + output.offset
    found: Any = integer_simulation(integers)(x)
    assert torch.allclose(found, torch.from_numpy(expected), rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def network() -> snnconv.SpikingNetwork:
    model, x = prepared(Perceptron, torch.float64), draw(60, 6, dtype=torch.float64)
    return snnconv.convert(model, x, coding=Rate(12), schedule=Concurrent(12))


@pytest.fixture(scope="module")
def labelled(network: snnconv.SpikingNetwork) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples, and classes of which the original gets three quarters right."""
    x = draw(24, 6, seed=4, dtype=torch.float64)
    targets = network.reference(x).argmax(1)
    targets[::4] = (targets[::4] + 1) % 2
    return x, targets


@pytest.fixture(scope="module")
def sweep(network: snnconv.SpikingNetwork, labelled: Any) -> BitSweep:
    return bit_sweep(network, *labelled, input_bits=(3, 8))


def test_every_row_is_the_export_with_its_bits(network: Any, labelled: Any, sweep: BitSweep) -> None:
    chunks, targets = [(labelled[0],)], labelled[1]
    exact = original_outputs(network, chunks)
    assert sweep.original == 75.0 and sweep.samples == 24
    for row in sweep.results:
        if row.weight_bits not in (2, 8):
            continue
        bits = row.mixed or row.weight_bits
        options: dict[str, Any] = {} if bits == 8 else {"weight_bits": bits}  # 8 are those of every export
        outputs = outputs_of(
            integer_simulation(quantize(network, per=row.per, input_bits=row.input_bits, **options)), chunks
        )
        near, decided = fidelity(outputs, exact), decisions(outputs)
        assert decided is not None
        assert (row.error, row.agreement) == (near.error, near.agreement)
        assert row.accuracy == row.quality == 100.0 * float((decided == targets).double().mean())


def test_a_sweep_has_a_row_for_every_choice(sweep: BitSweep, network: Any, tmp_path: Path) -> None:
    choices = [
        (per, weights, taken) for per in ("channel", "population") for weights in range(2, 9) for taken in (3, 8)
    ]
    choices += [(per, mean, 8) for per in ("channel", "population") for mean in range(2, 8)]
    assert [(row.per, row.weight_bits, row.input_bits) for row in sweep.results] == choices
    assert [row.mixed is not None for row in sweep.results] == [False] * 28 + [True] * 12
    assert json.loads(json.dumps(sweep.to_dict()))["results"][0].keys() >= {"per", "weight_bits", "accuracy", "refused"}
    assert len(str(sweep).splitlines()) >= len(choices) + 2 and "original decides 75.0 % right" in str(sweep)
    told: list[snnconv.Progress] = []
    held = bit_sweep(network, weight_bits=(2, 8), input_bits=(6,), per=("channel",), progress=told.append)
    assert held.original is None and all(row.accuracy is None and row.agreement is not None for row in held.results)
    assert [each.done for each in told if each.what == "measuring bits"] == [
        *range(2 + len(held.results[-1].mixed or ()) + 2)
    ]


def test_the_picture_has_a_line_for_each_choice_of_inputs(sweep: BitSweep, tmp_path: Path) -> None:
    panels = sweep.plot(tmp_path / "bits.png")
    assert (tmp_path / "bits.png").read_bytes().startswith(b"\x89PNG")
    for panel, per in zip(panels, ("channel", "population"), strict=True):
        lines = [line for line in panel.lines if len(line.get_xdata()) == 7]
        for line, bits in zip(lines, (3, 8), strict=True):
            rows = [row for row in sweep.results if (row.per, row.input_bits, row.mixed) == (per, bits, None)]
            assert [*line.get_xdata()] == [row.weight_bits for row in rows]
            assert [*line.get_ydata()] == [row.quality for row in rows]
    pyplot.close("all")


def test_the_smallest_has_the_fewest_bytes_of_those_that_lose_little(sweep: BitSweep) -> None:
    for allowed in (0.0, 5.0, 40.0):
        found = replace(sweep, allow_loss=allowed).smallest
        assert found is not None and found.lost is not None and found.lost <= allowed
        assert all(row.memory >= found.memory for row in sweep.results if row.lost is not None and row.lost <= allowed)
    assert replace(sweep, results=tuple(replace(row, lost=50.0) for row in sweep.results)).smallest is None


def test_a_loss_beyond_what_is_allowed_is_written_as_such(sweep: BitSweep) -> None:
    """1.008 % is more than 1 %, and 0.996 % less: no bound is crossed by the number that was measured against it."""
    first, second, third, *_ = sweep.results
    rows = tuple(replace(row, lost=lost) for row, lost in ((first, 1.008), (second, 0.996), (third, 2.0)))
    lines = str(replace(sweep, results=rows, allow_loss=1.0).to_table()).splitlines()
    assert [line.split()[-2] for line in lines[1:]] == ["1.008", "0.996", "2.000"]
    usual = str(replace(sweep, results=(replace(first, lost=1.0),), allow_loss=1.0).to_table()).splitlines()
    assert usual[1].split()[-2] == "1.0"


def test_mixed_bits_fit_in_the_memory_of_as_many_everywhere(sweep: BitSweep) -> None:
    memory = {(row.per, row.weight_bits): row.memory for row in sweep.results if row.mixed is None}
    mixed = [row for row in sweep.results if row.mixed is not None]
    assert all(row.memory <= memory[row.per, row.weight_bits] for row in mixed)
    assert any(len({*(row.mixed or {}).values()}) > 1 for row in mixed)


ERRORS = {"first": {2: 9.0, 4: 1.0, 8: 0.0}, "second": {2: 0.5, 4: 0.1, 8: 0.0}, "third": {2: math.inf, 4: 2.0, 8: 0.0}}
WEIGHTS = {"first": 10, "second": 100, "third": 20}


@pytest.mark.parametrize("mean", [2, 4, 8])
def test_the_bits_that_are_chosen_are_the_best_that_can_be_paid_for(mean: int) -> None:
    chosen = mixed_bits(ERRORS, WEIGHTS, mean)

    def memory(bits: dict[str, int]) -> int:
        return sum(count * bits[name] for name, count in WEIGHTS.items())

    def error(bits: dict[str, int]) -> float:
        return sum(ERRORS[name][each] for name, each in bits.items())

    assert memory(chosen) <= mean * 130
    all_of_them = [dict(zip(ERRORS, bits, strict=True)) for bits in itertools.product((2, 4, 8), repeat=3)]
    payable = [bits for bits in all_of_them if memory(bits) <= mean * 130]
    assert error(chosen) == min(map(error, payable))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_population_and_output_receives_weights_of_its_own_bits(name: str) -> None:
    network = NETWORKS[name]()
    everywhere = quantize(network, input_bits=4)
    names = [*everywhere.weight_bits]
    called = [everywhere.explicit.name(node) for node in names]
    bits = {each: 3 + place % 5 for place, each in enumerate(called[:-1])}  # the last keeps 8
    integers = quantize(network, input_bits=4, weight_bits=bits)
    assert integers.weight_bits == dict(zip(names, [*bits.values(), 8], strict=True))
    for node, few in integers.weight_bits.items():
        largest = max(int(np.abs(each.map.weights.astype(int)).max(initial=0)) for each in integers.into(node))
        assert 0 < largest <= largest_weight(few)
    assert f"3 bits for {called[0]}" in " ".join(rewritten(integers))


def test_names_that_no_population_has_are_refused(network: Any) -> None:
    with pytest.raises(ConfigurationError, match="weight_bits: 'none' is no population and no output; there are "):
        quantize(network, weight_bits={"none": 4})
    with pytest.raises(ConfigurationError, match="weight_bits must lie between 2 and 8"):
        quantize(network, weight_bits={next(iter(network.populations.values())).name: 9})


class _NamedAsAnOutput(nn.Module):
    """Its activation has the name that the graph gives to the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.linear_1, self.last = nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.linear_1(self.first(x)))  # type: ignore[no-any-return]


def test_a_name_that_a_population_and_an_output_share_stands_for_both() -> None:
    network = snnconv.convert(prepared(_NamedAsAnOutput, torch.float64), draw(40, 6, dtype=torch.float64))
    assert {*quantize(network, input_bits=6).weight_bits.values()} == {8}
    integers = quantize(network, input_bits=6, weight_bits={"linear_1": 4})
    assert [*integers.weight_bits.values()] == [4, 4]
    assert weights_of(integers.explicit) == {"linear_1": 6 * 5 + 5 * 3}


def test_what_could_overflow_is_a_row_with_the_reason(network: Any) -> None:
    model, x = prepared(Perceptron, torch.float64), draw(30, 6, dtype=torch.float64)
    boundless = snnconv.convert(model, x, coding=Burst(6), schedule=Concurrent(6))
    found = bit_sweep(boundless, x[:4], weight_bits=(4,), input_bits=(4,), per=("channel",))
    assert "the payload of its bursts has no bound" in str(found)
    with pytest.raises(ConfigurationError, match="no result has an accuracy or an agreement to draw"):
        found.plot()


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "loss": ({"allow_loss": 101.0}, ConfigurationError, "allow_loss is in percent"),
    "one bit": ({"weight_bits": (1,)}, ConfigurationError, "weight_bits must lie between 2 and 8, whole, got 1"),
    "nine bits": ({"weight_bits": (8, 9)}, ConfigurationError, "weight_bits must lie between 2 and 8, whole, got 9"),
    "inputs": ({"input_bits": (17,)}, ConfigurationError, "input_bits must lie between 2 and 16, whole, got 17"),
    "steps": ({"per": ("layer",)}, ConfigurationError, "per must be one of channel, population"),
    "none": ({"weight_bits": ()}, ConfigurationError, "weight_bits must name each value once, and at least one"),
    "twice": ({"input_bits": (4, 4)}, ConfigurationError, "input_bits must name each value once"),
    "targets alone": ({"targets": torch.zeros(3, dtype=torch.int64)}, InputError, "targets belong to samples"),
    "few targets": (
        {"samples": draw(3, 6, dtype=torch.float64), "targets": torch.zeros(2, dtype=torch.int64)},
        InputError,
        "targets must be 3 classes, one a sample",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_makes_no_sense_is_refused(case: str, network: Any) -> None:
    options, error, reason = BAD[case]
    with pytest.raises(error, match=reason):
        bit_sweep(network, **options)
    if options.get("weight_bits"):
        with pytest.raises(error, match=reason):
            quantize(network, weight_bits=options["weight_bits"][-1])


app = typer.Typer()
add_commands(app)


def test_the_command_line_gives_bits_to_weights(network: Any, tmp_path: Path) -> None:
    network.save(tmp_path / "network.snn")
    (name,) = (population.name for population in network.populations.values())
    for given, bits in (("3", [3, 3]), (f"3,{name}=5", [5, 3]), (f"{name}=5", [5, 8])):
        export = ["export", str(tmp_path / "network.snn"), "-o", str(tmp_path / "n.npz")]
        found = CliRunner().invoke(app, [*export, "--weight-bits", given, "--json", str(tmp_path / "report.json")])
        assert found.exit_code == 0, found.output
        placements = json.loads((tmp_path / "report.json").read_text())["placements"]
        assert [each["weight_bits"] for each in placements] == [8, *bits], "the input has weights of its own"


def test_the_command_line_sweeps_bits(network: Any, labelled: Any, tmp_path: Path) -> None:
    network.save(tmp_path / "network.snn")
    np.savez(tmp_path / "data.npz", inputs=labelled[0].numpy(), targets=labelled[1].numpy())
    base = ["export", str(tmp_path / "network.snn"), "--sweep-bits", "-o", str(tmp_path / "bits.png")]
    options = ["--per", "population", "--input-bits", "4", "--json", str(tmp_path / "bits.json")]
    found = CliRunner().invoke(app, [*base, "--data", str(tmp_path / "data.npz"), *options])
    assert found.exit_code == 0, found.output
    rows = json.loads((tmp_path / "bits.json").read_text())["results"]
    assert [row["weight_bits"] for row in rows] == [*range(2, 9), *range(2, 8)]
    assert {row["input_bits"] for row in rows} == {4} and "fewest bytes that lose at most 1 %" in found.output
    lossless = CliRunner().invoke(app, [*base, "--data", str(tmp_path / "data.npz"), *options, "--allow-loss", "40"])
    assert "fewest bytes that lose at most 40 %" in lossless.output
    given = lossless.output.partition("to export with: ")[2].splitlines()[0].split()
    again = ["export", base[1], "-o", str(tmp_path / "n.npz"), "--data", str(tmp_path / "data.npz"), *given]
    assert CliRunner().invoke(app, [*again, "--allow-loss", "40"]).exit_code == 0, "its options are those of export"
    assert (tmp_path / "bits.png").exists() and "the original decides" in found.output
    for more, reason in ((["--reset", "zero"], "are not for --sweep-bits"), ([], "--sweep-bits measures on samples")):
        assert reason in str(CliRunner().invoke(app, [*base, *more]).exception)
