"""The program in C that runs golden vectors through an export and says where it differs first."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template

import numpy as np

from hw_export.c.draft import Table, listed
from hw_export.c.identifiers import as_comment
from hw_export.c.phases import window
from hw_export.c.program import CProgram
from hw_export.c.vectors import FACTORS, MIXING, Vectors
from hw_export.explicit.maps import Array

_TEST = Template("""\
/*
 * Runs $source through $name.c and compares the spikes of all populations at all steps, and
 * the sums of all outputs, with those of the integer reference of snnconv. Says where they differ first, and ends with
 * status 1; with status 0 if nothing differs. Compile this file alone:
 *
 *     cc -std=c99 -O2 -o ${name}_test ${name}_test.c && ./${name}_test
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

$tables
static const char *const names[$populations] = {
$names
};

static int32_t found_spikes[$populations];
static uint32_t found_digests[$cells];

/* Adds a spike to the digest of its population and step; their order does not matter. */
static void observe(int32_t population, int32_t step, int32_t neuron, int32_t payload)
{
    uint32_t mixed = (uint32_t)population * UINT32_C($factor_0) + (uint32_t)step * UINT32_C($factor_1)
        + (uint32_t)neuron * UINT32_C($factor_2) + (uint32_t)payload * UINT32_C($factor_3);
    mixed = (mixed ^ (mixed >> 16)) * UINT32_C($mixing_0);
    mixed = (mixed ^ (mixed >> 13)) * UINT32_C($mixing_1);
    found_digests[(int32_t)cells[population] + step - (int32_t)starts[population]] += mixed ^ (mixed >> 16);
    ++found_spikes[population];
}

#define SNNCONV_OBSERVE(population, step, neuron, payload) observe(population, step, neuron, payload)
#include "$name.c"

static const snnconv_${name}_input inputs[$count] = {
$inputs
};

static const snnconv_${name}_output sums[$count] = {
$sums
};

static const uint32_t digests[$count][$cells] = {
$digests
};

static snnconv_${name}_state state;
static snnconv_${name}_output output;

/* The first step and population whose spikes are not those expected: 1 if there are any. */
static int spikes_differ(int32_t sample)
{
    for (int32_t step = 0; step < $steps; ++step) {
        for (int32_t population = 0; population < SNNCONV_${upper}_POPULATIONS; ++population) {
            const int32_t moment = step - (int32_t)starts[population];
            const int32_t cell = (int32_t)cells[population] + moment;
            if (moment < 0 || moment >= (int32_t)lengths[population] || found_digests[cell] == digests[sample][cell]) {
                continue;
            }
            (void)printf("sample %" PRId32 ": the spikes of %s at step %" PRId32 " differ; it fired %" PRId32
                " in all, and %" PRId32 " are expected\\n", sample, names[population], step,
                found_spikes[population], (int32_t)spikes[sample * $populations + population]);
            return 1;
        }
    }
    return 0;
}

/* The first sum that is not the one expected: 1 if there is any. */
static int sums_differ(int32_t sample)
{
$compared
    return 0;
}

int main(void)
{
    for (int32_t sample = 0; sample < $count; ++sample) {
        for (int32_t population = 0; population < $populations; ++population) {
            found_spikes[population] = 0;
        }
        for (int32_t cell = 0; cell < $cells; ++cell) {
            found_digests[cell] = 0;
        }
        snnconv_${name}_run(&state, &inputs[sample], &output);
        if (spikes_differ(sample) != 0 || sums_differ(sample) != 0) {
            return 1;
        }
    }
    (void)printf("$name: all spikes and sums of $count samples are those expected\\n");
    return 0;
}
""")

_COMPARED = Template("""\
    for (int32_t entry = 0; entry < $size; ++entry) {
        const int64_t found = (int64_t)output.$output[entry];
        const int64_t wanted = (int64_t)sums[sample].$output[entry];
        if (found != wanted) {
            (void)printf("sample %" PRId32 ": sum %" PRId32 " of $output is %" PRId64 ", and %" PRId64
                " is expected\\n", sample, entry, found, wanted);
            return 1;
        }
    }
""")


def self_test(program: CProgram, vectors: Vectors) -> str:
    """The text of the program that holds ``program`` to ``vectors``."""
    integers, nodes = program.integers, list(program.integers.explicit.shapes)
    windows = np.array([window(integers, node) for node in nodes] or [(0, 0)])
    ends = np.cumsum(windows[:, 1])
    count, cells = vectors.count, max(1, int(ends[-1]))
    digests = vectors.digests if vectors.digests.size else np.zeros((count, 1), np.uint32)
    spikes = vectors.spikes if vectors.spikes.size else np.zeros((count, 1), np.int64)
    tables = {"starts": windows[:, 0], "lengths": windows[:, 1], "cells": ends - windows[:, 1], "spikes": spikes}
    return _TEST.substitute(
        name=program.name,
        upper=program.name.upper(),
        source=vectors.source,
        count=count,
        cells=cells,
        steps=integers.steps,
        populations=max(1, len(nodes)),
        tables="\n".join(Table("", name, values.reshape(-1)).text for name, values in tables.items()),
        names=",\n".join(f'    "{as_comment(integers.explicit.name(node))}"' for node in nodes) or '    ""',
        inputs=_structures(vectors.inputs, list(integers.explicit.inputs), count),
        sums=_structures(vectors.sums, list(integers.outputs), count),
        digests=",\n".join(f"    {{\n{listed(row)}\n    }}" for row in digests),
        compared="".join(
            _COMPARED.substitute(output=program.identifiers[node], size=output.offset.size)
            for node, output in integers.outputs.items()
        ).rstrip(),
        **{f"factor_{position}": hex(factor) for position, factor in enumerate(FACTORS)},
        **{f"mixing_{position}": hex(factor) for position, factor in enumerate(MIXING)},
    )


def _structures(values: Mapping[str, Array], nodes: list[str], count: int) -> str:
    """Initialisers of ``count`` structures with an array for each of ``nodes``."""
    samples = []
    for sample in range(count):
        arrays = ",\n".join(f"    {{\n{listed(values[node][sample])}\n    }}" for node in nodes)
        samples.append(f"    {{\n{arrays}\n    }}")
    return ",\n".join(samples)
