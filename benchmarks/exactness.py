"""Exactness of exports: events that programs in C, Lava and the clock fire otherwise than the integer reference."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

import snnconv
from benchmarks.c_exports import compared_in_c
from benchmarks.exactness_networks import NETWORKS, network, pictures
from benchmarks.export import TASKS
from benchmarks.results import FOLDER, keep, note, publish
from coding import TTFS, Burst, Code, Concurrent, FewSpike, OneSpike, Phase, Pipeline, Rate, TableSpike, Thermometer
from hw_export.c.program import program
from hw_export.integers.built_in import with_hard_reset
from hw_export.integers.declared import LIF
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.quantization import quantize
from hw_export.integers.reference import IntegerRun, run_reference
from hw_export.integers.simulation import integer_simulation
from hw_export.lava.bundle import lava_form, write_bundle
from hw_export.lava.launch import launch
from snnconv.errors import ConfigurationError, ModelError

STEPS, SAMPLES = 16, 3
#: Rate code with the neurons that Lava has itself.
RESET = "rate, reset to zero"
CODES: Mapping[str, Code] = {
    "rate": Rate(STEPS),
    RESET: Rate(STEPS),
    "burst": Burst(STEPS, largest_gain=4),
    "phase": Phase(6),
    "TTFS": TTFS(16),
    "one-spike": OneSpike(12),
    "few-spike": FewSpike(6),
    "table-spike": TableSpike(8),
    "thermometer": Thermometer(8),
}
#: Trained networks in few-spike code, with as many samples in C and in Lava.
TRAINED: Mapping[str, tuple[int, int]] = {"shapes detector": (200, SAMPLES), "ResNet-20": (200, SAMPLES)}
TITLE = "Events that differ from those of the integer reference"
HEAD = ("network", "code", "events", "in C", "events on Lava and clock", "on Lava", "under the clock", "refused")


@dataclass(frozen=True)
class _Compared:
    """How many payloads were compared, and how many differ in C, on Lava and under the clock."""

    events: int
    in_c: int
    few: int
    on_lava: int
    clock: int


def run(rows: Sequence[str] = ("*",)) -> None:
    """Publish the table ``exactness``, as JSON and as a page in markdown: all networks in all codes."""
    table: list[list[Any]] = []

    def add(name: str, code: str, measure: Callable[[], _Compared]) -> None:
        if not any(fnmatchcase(f"{name}, {code}", pattern) for pattern in rows):
            return
        try:
            found = measure()
            table.append([name, code, found.events, found.in_c, found.few, found.on_lava, found.clock, ""])
        except (ConfigurationError, ModelError) as error:  # what fails otherwise is no refusal
            table.append([name, code, *[None] * 5, str(error)])
        note(f"{name}, {code}: {table[-1][2:]}")
        keep("exactness", TITLE, HEAD, table)

    for name in NETWORKS:
        for code in CODES:
            add(name, code, lambda name=name, code=code: _small(name, code))  # type: ignore[misc]
    for name, counts in TRAINED.items():
        add(name, "few-spike", lambda name=name, counts=counts: _trained(name, *counts))  # type: ignore[misc]
    publish("exactness", TITLE, HEAD, table)
    (FOLDER / "exactness.md").write_text(page(table))


def page(table: Sequence[Sequence[Any]]) -> str:
    """The rows of the table in markdown: a line a network, a column a code, and the reasons of what is refused."""
    codes = [*dict.fromkeys(row[1] for row in table)]
    cells = {(row[0], row[1]): row for row in table}
    reasons: dict[str, int] = {}
    lines = [f"| network | {' | '.join(codes)} |", f"|---|{'---:|' * len(codes)}"]
    for name in dict.fromkeys(row[0] for row in table):
        texts = []
        for code in codes:
            row = cells.get((name, code))
            if row is None:
                texts.append("")
            elif row[-1]:
                texts.append(f"refused ({reasons.setdefault(row[-1], len(reasons) + 1)})")
            else:
                texts.append(f"{row[3] + row[5] + row[6]} of {row[2]:,}")
        lines.append(f"| {name} | {' | '.join(texts)} |")
    return "\n".join([*lines, "", *(f"{number}. {reason}" for reason, number in reasons.items()), ""])


def _small(name: str, label: str) -> _Compared:
    code = CODES[label]
    schedule = Concurrent(STEPS) if code.streams and code.period == 1 else Pipeline()
    converted = snnconv.convert(network(name), pictures(40, seed=1), coding=code, schedule=schedule)
    if label == RESET:
        integers = quantize(with_hard_reset(converted), per="population", input_bits=6, limits=LIF)
    else:
        integers = quantize(converted, input_bits=8)
    return _compared(integers, pictures(SAMPLES, seed=3), SAMPLES)


def _trained(name: str, in_c: int, few: int) -> _Compared:
    task = TASKS[name][0](in_c)
    return _compared(quantize(task.converted(FewSpike(6, spikes=3))), task.inputs, few)


def _compared(integers: IntegerNetwork, x: Tensor, few: int) -> _Compared:
    """``x`` in C, and the first ``few`` of it on Lava and under the clock, beside the reference."""
    ((node, taken),) = integers.inputs.items()
    inputs = {node: taken.taken(x.numpy())}
    first = {node: inputs[node][:few]}
    expected = run_reference(integers, first, list(integers.explicit.shapes))
    with tempfile.TemporaryDirectory() as folder:
        in_c, events = compared_in_c(program(integers, "network"), Path(folder), inputs)
        on_lava = _on_lava(integers, Path(folder, "network.npz"), first, expected)
    return _Compared(events, in_c, sum(expected.spikes.values()), on_lava, _clock(integers, x[:few], expected))


def _on_lava(integers: IntegerNetwork, path: Path, inputs: Mapping[str, Any], expected: IntegerRun) -> int:
    write_bundle(integers, path)
    formed = {name: each.reshape(len(each), *lava_form(each.shape[1:])) for name, each in inputs.items()}
    found = launch(path, formed, record=[*expected.rasters])
    pairs = [(found.rasters[node], raster) for node, raster in expected.rasters.items()]
    pairs += [(found.outputs[node], sums) for node, sums in expected.sums.items()]
    return sum(int((one.reshape(two.shape) != two).sum()) for one, two in pairs)


def _clock(integers: IntegerNetwork, x: Tensor, expected: IntegerRun) -> int:
    simulation, different = integer_simulation(integers), 0
    run = simulation.run(x.double(), simulator="clock", record=["rasters"])
    for node, quantized in integers.populations.items():
        found = np.rint(run.rasters[simulation.populations[node].name].numpy() / quantized.rule.unit)
        start, raster = integers.starts().get(node, 0), expected.rasters[node].swapaxes(0, 1)
        different += int(np.count_nonzero(raster)) - int(np.count_nonzero(raster[start : start + len(found)]))
        different += int((found != raster[start : start + len(found)]).sum())
    return different
