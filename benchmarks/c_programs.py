"""Programs in C of exported networks, compiled and run on many samples: sums, spikes and the time of the processor."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw_export.c.program import CProgram
from hw_export.integers.reference import IntegerRun

Array = NDArray[Any]
_EVENT = np.dtype([("sample", "<i4"), ("population", "<i4"), ("step", "<i4"), ("neuron", "<i4"), ("payload", "<i4")])

_MAIN = Template("""\
/* Runs all samples of the first file; the second gets the sums, the third, if there is one, all spikes. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#ifdef SPIKES
static FILE *spikes;
static int32_t sample;
static void observe(int32_t population, int32_t step, int32_t neuron, int32_t payload)
{
    const int32_t event[5] = {sample, population, step, neuron, payload};
    (void)fwrite(event, sizeof event, 1, spikes);
}
#define SNNCONV_OBSERVE(population, step, neuron, payload) observe(population, step, neuron, payload)
#endif

#include "$name.c"

static snnconv_${name}_state state;
static snnconv_${name}_input input;
static snnconv_${name}_output output;

int main(int count, char **arguments)
{
    FILE *inputs = fopen(arguments[1], "rb");
    FILE *sums = fopen(arguments[2], "wb");
    clock_t taken = 0;
#ifdef SPIKES
    spikes = fopen(arguments[3], "wb");
#endif
    if (count < 3 || inputs == NULL || sums == NULL) {
        return 1;
    }
    while (fread(&input, sizeof input, 1, inputs) == 1) {
        const clock_t before = clock();
        snnconv_${name}_run(&state, &input, &output);
        taken += clock() - before;
#ifdef SPIKES
        ++sample;
#endif
        (void)fwrite(&output, sizeof output, 1, sums);
    }
#ifdef SPIKES
    (void)fclose(spikes);
#endif
    (void)fclose(inputs);
    (void)fclose(sums);
    (void)printf("%lu %.9f\\n", (unsigned long)sizeof state, (double)taken / (double)CLOCKS_PER_SEC);
    return 0;
}
""")


@dataclass(frozen=True)
class ProgramRun:
    """What samples came to: ``sums`` by output ``[N, ...]``, ``events`` (records) if they were asked for.

    ``seconds`` are the processor's for all samples, ``state`` the bytes of the state.
    """

    sums: Mapping[str, Array]
    events: Array | None
    seconds: float
    state: int


class CompiledProgram:
    """``program`` in ``folder``, compiled by ``compiler`` with ``options``; with ``spikes`` it keeps them."""

    def __init__(
        self, program: CProgram, folder: Path, compiler: str, options: Sequence[str], spikes: bool = False
    ) -> None:
        self.program, self._folder, self._spikes = program, folder, spikes
        (folder / f"{program.name}.h").write_text(program.header)
        (folder / f"{program.name}.c").write_text(program.source)
        main, self._binary = folder / f"{program.name}_main.c", folder / f"{program.name}_main"
        main.write_text(_MAIN.substitute(name=program.name))
        command = [compiler, "-std=c99", *options, *(["-DSPIKES"] if spikes else []), "-o", self._binary, main]
        subprocess.run([*map(str, command)], check=True)

    def run(self, inputs: Mapping[str, Array]) -> ProgramRun:
        """Run integer ``inputs [N, ...]``, one after the other."""
        integers, folder, names = self.program.integers, self._folder, self.program.identifiers
        count = len(next(iter(inputs.values())))
        paths = [folder / f"{self.program.name}.{what}" for what in ("inputs", "sums", "spikes")]
        content = np.zeros(count, self._structure(inputs))
        for node, values in inputs.items():
            content[names[node]] = values.reshape(count, -1)
        content.tofile(paths[0])
        done = subprocess.run([self._binary, *paths], check=True, capture_output=True, text=True)
        state, seconds = done.stdout.split()
        found = np.fromfile(
            paths[1], self._structure({node: each.offset[None] for node, each in integers.outputs.items()})
        )
        sums = {
            node: found[names[node]].reshape(count, *output.offset.shape) for node, output in integers.outputs.items()
        }
        return ProgramRun(sums, np.fromfile(paths[2], _EVENT) if self._spikes else None, float(seconds), int(state))

    def _structure(self, nodes: Mapping[str, Array]) -> np.dtype[Any]:
        """The structure that the header makes of ``nodes``, values ``[N, ...]`` by node."""
        fields = []
        for node, values in nodes.items():
            identifier, size = self.program.identifiers[node], values[0].size
            found = re.search(rf"^    (\w+)_t {identifier}\[{size}\];", self.program.header, re.MULTILINE)
            assert found is not None
            fields.append((identifier, found[1], (size,)))
        return np.dtype(fields, align=True)


def rasters(written: CProgram, run: ProgramRun, samples: int) -> dict[str, Array]:
    """What a run of ``samples`` samples sent, ``[N, T, ...]`` by node."""
    integers, found = written.integers, {}
    assert run.events is not None
    for number, (node, shape) in enumerate(integers.explicit.shapes.items()):
        events = run.events[run.events["population"] == number]
        raster = np.zeros((samples, integers.steps, math.prod(shape)), np.int32)
        np.add.at(raster, (events["sample"], events["step"], events["neuron"]), events["payload"])
        found[node] = raster.reshape(samples, integers.steps, *shape)
    return found


def differing(written: CProgram, run: ProgramRun, expected: IntegerRun) -> int:
    """How many payloads and sums of a run are other than ``expected``, of which all rasters were recorded."""
    samples = len(next(iter(expected.sums.values())))
    found = rasters(written, run, samples)
    payloads = sum(int((found[node] != raster).sum()) for node, raster in expected.rasters.items())
    return payloads + sum(int((run.sums[node] != sums).sum()) for node, sums in expected.sums.items())
