"""Networks as programs in C: spikes beside the integer reference, accuracy, time of an image and memory."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.c_programs import CompiledProgram, differing
from benchmarks.export import TASKS, Task
from benchmarks.results import keep, note, publish
from coding import Burst, Code, FewSpike, OneSpike, Rate
from hw_export.c.program import CProgram, program
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.quantization import quantize
from hw_export.integers.reference import run_reference

STEPS = 32
STREAMS: dict[str, Code] = {"rate": Rate(STEPS), "burst": Burst(STEPS, largest_gain=4)}
CODES: Mapping[str, Mapping[str, Code]] = {
    "MNIST CNN": {"few-spike": FewSpike(6, spikes=3), "one-spike": OneSpike(16), **STREAMS},
    "digits CNN, SiLU": {"few-spike": FewSpike(6), "one-spike": OneSpike(16)},
    "shapes detector": {"few-spike": FewSpike(6, spikes=3), **STREAMS},
    "ResNet-20": {"few-spike": FewSpike(6, spikes=3), "rate": STREAMS["rate"]},
}
#: Images whose spikes are compared with the reference, and how many of them the reference computes together.
COMPARED, TOGETHER = 200, 4
COMPILER, OPTIONS = "gcc", ("-O2",)
HEAD = (
    "network",
    "code",
    "images",
    "ANN %",
    "SNN %",
    "C %",
    "agreement of the SNN %",
    "agreement of C %",
    "spikes that differ",
    "spikes compared",
    "ms an image",
    "RAM KiB",
    "tables KiB",
)


def run(images: int | None = None, rows: Sequence[str] = ("*",)) -> None:
    """Publish the table ``c``: networks on ``images`` test images (10,000, or as many as there are).

    The spikes of the first 200 are compared; times are those of the processor, by gcc -O2.
    """
    table: list[list[Any]] = []
    title = "Programs in C beside the integer reference; agreement with the original's decisions"
    for name, codes in CODES.items():
        chosen = [code for code in codes if any(fnmatchcase(f"{name}, {code}", pattern) for pattern in rows)]
        task = TASKS[name][0](images or 10_000) if chosen else None
        for code in chosen:
            assert task is not None
            table.append([name, code, *_row(task, codes[code])])
            note(f"{name}, {code}: {dict(zip(HEAD, table[-1], strict=True))}")
            keep("c", title, HEAD, table)
    publish("c", title, HEAD, table)


def _row(task: Task, code: Code) -> list[Any]:
    network = task.converted(code)
    integers = quantize(network)
    written = program(integers, "network")
    ((node, taken),) = integers.inputs.items()
    inputs = {node: taken.taken(task.inputs.numpy())}
    with tempfile.TemporaryDirectory() as folder:
        different, compared = compared_in_c(
            written, Path(folder), {name: each[:COMPARED] for name, each in inputs.items()}
        )
        done = CompiledProgram(written, Path(folder), COMPILER, OPTIONS).run(inputs)
    decided: list[float | None] = [None] * 5
    if task.targets is not None:
        with torch.no_grad():
            parts = torch.split(task.inputs, 200)
            exact, spiking = (torch.cat([one(part) for part in parts]) for one in (task.model, network))
        whole = _scores(integers, done.sums)
        targets = (task.targets, task.targets, task.targets, exact.argmax(1), exact.argmax(1))
        decided = [_share(*pair) for pair in zip((exact, spiking, whole, spiking, whole), targets, strict=True)]
    milliseconds = 1000 * done.seconds / len(task.inputs)
    return [len(task.inputs), *decided, different, compared, milliseconds, written.ram / 1024, written.flash / 1024]


def compared_in_c(written: CProgram, folder: Path, inputs: Mapping[str, Any]) -> tuple[int, int]:
    """Payloads of ``inputs`` that differ from those of the reference, and spikes in all."""
    compiled = CompiledProgram(written, folder, COMPILER, OPTIONS, spikes=True)
    different = compared = 0
    for start in range(0, len(next(iter(inputs.values()))), TOGETHER):
        part = {name: each[start : start + TOGETHER] for name, each in inputs.items()}
        expected = run_reference(written.integers, part, list(written.integers.explicit.shapes))
        different += differing(written, compiled.run(part), expected)
        compared += sum(expected.spikes.values())
    return different, compared


def _scores(integers: IntegerNetwork, sums: Mapping[str, Any]) -> Tensor:
    """What the sums of the only output stand for."""
    ((node, output),) = integers.outputs.items()
    presentations = 1 if integers.network.timing is not None else integers.steps
    return torch.from_numpy(np.asarray(sums[node] / presentations * output.step + output.offset))


def _share(scores: Tensor, classes: Tensor) -> float:
    return round(100 * float((scores.argmax(1) == classes).double().mean()), 2)
