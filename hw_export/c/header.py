"""The header of a program in C: its types and functions, and how numbers of the world become integers and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from string import Template

import numpy as np

from hw_export.c.draft import Draft, input_type
from hw_export.c.identifiers import as_comment
from hw_export.explicit.maps import Array
from snnconv.version import __version__

_HEADER = Template(
    """\
/*
 * $name: a spiking network in integers, written by snnconv $version. C99, no heap, no floating point.
 *
 * A sample takes $steps steps:
 *
 *     static snnconv_${name}_state state;
 *     snnconv_${name}_run(&state, &input, &output);
 *
 * computes them all, as snnconv_${name}_begin, $steps times snnconv_${name}_step, and snnconv_${name}_read do. Whoever
 * needs spikes defines SNNCONV_OBSERVE(population, step, neuron, payload) in front of the source, where neurons are
 * counted in the order of the network's: channels, then rows, then columns.
 *
 * Inputs. A real number x becomes the integer round(x / STEP), by the STEP of the input, where halves are rounded to
 * the even neighbour; what lies beyond SMALLEST or LARGEST is brought to these ends. Arrays are in the order of the
 * network's.
 *
 * Outputs. A sum s stands for the real number $reading, by STEP and OFFSET of the output, which have
 * an entry for each channel, or OFFSET one for each sum. No code here uses these constants: the host computes in real
 * numbers.
 *
 * State: $ram bytes. Constant tables: $flash bytes. Potentials keep within 24 bits, whatever the input.
 *
 * Populations, by the numbers that an observer is given:
$populations
 */
#ifndef SNNCONV_${upper}_H
#define SNNCONV_${upper}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define $upper_STEPS $steps
#define $upper_POPULATIONS $count
$constants
/* What a sample starts from. */
typedef struct {
$inputs
} snnconv_${name}_input;

/* The sums that arrived at the outputs. */
typedef struct {
$outputs
} snnconv_${name}_output;

/* All that changes in the course of a sample; nothing else is written to. */
typedef struct {
$members
} snnconv_${name}_state;

/* Makes the state that of a new sample, whatever it holds. */
void snnconv_${name}_begin(snnconv_${name}_state *state, const snnconv_${name}_input *input);

/* Computes the next step; behind the last one nothing changes. */
void snnconv_${name}_step(snnconv_${name}_state *state);

/* The sums so far, which are the network's answer behind the last step. */
void snnconv_${name}_read(const snnconv_${name}_state *state, snnconv_${name}_output *output);

/* All of a sample. */
void snnconv_${name}_run(
    snnconv_${name}_state *state, const snnconv_${name}_input *input, snnconv_${name}_output *output);

#ifdef __cplusplus
}
#endif

#endif
""".replace("$upper_", "SNNCONV_${upper}_")
)


def header(draft: Draft, sum_types: Mapping[str, str]) -> str:
    """The text of the header of ``draft``, where sums of outputs have ``sum_types``."""
    integers, explicit = draft.integers, draft.integers.explicit
    starts = integers.starts()
    populations = []
    for number, node in enumerate(explicit.shapes):
        window = f", fires from step {starts[node]} on" if node in starts else ""
        kind = ", max pooling" if node in explicit.gates else ""
        shape = " x ".join(map(str, explicit.shapes[node]))
        populations.append(f" *   {number}: {as_comment(explicit.name(node))}, {shape} neurons{kind}{window}")
    divided = "" if draft.windowed else f" / SNNCONV_{draft.name.upper()}_STEPS"
    members = [f"    {member.type} {member.name}[{member.count}];" for member in draft.ordered_members]
    wide = sum(member.width >= 4 for member in draft.ordered_members)
    members.insert(wide, "    int32_t step;")
    return _HEADER.substitute(
        name=draft.name,
        upper=draft.name.upper(),
        version=__version__,
        steps=integers.steps,
        reading=f"s{divided} * STEP + OFFSET",
        ram=draft.ram,
        flash=draft.flash,
        populations="\n".join(populations),
        count=len(explicit.shapes),
        constants="".join(_constants(draft)),
        inputs="\n".join(_field(draft, node, input_type(taken)) for node, taken in integers.inputs.items()),
        outputs="\n".join(_field(draft, node, sum_types[node]) for node in integers.outputs),
        members="\n".join(members),
    )


def _field(draft: Draft, node: str, type: str) -> str:
    """The field that a structure has for the input or output ``node``."""
    shape = draft.shapes[node]
    return f"    {type} {draft.identifiers[node]}[{math.prod(shape)}]; /* {' x '.join(map(str, shape))} */"


def _constants(draft: Draft) -> list[str]:
    integers, upper = draft.integers, draft.name.upper()
    found = []
    for node, taken in integers.inputs.items():
        begin = f"#define SNNCONV_{upper}_INPUT_{draft.identifiers[node]}"
        smallest = f"({taken.smallest})" if taken.smallest < 0 else "0"
        found.append(f"{begin}_STEP {taken.step!r}\n{begin}_SMALLEST {smallest}\n{begin}_LARGEST {taken.largest}\n")
    for node, output in integers.outputs.items():
        begin = f"#define SNNCONV_{upper}_OUTPUT_{draft.identifiers[node]}"
        channels = len(output.offset)
        offsets = output.offset.reshape(channels, -1)
        alike = bool((offsets == offsets[:, :1]).all())
        found.append(f"{begin}_STEP {_initialiser(np.broadcast_to(output.step.reshape(-1), channels))}\n")
        found.append(f"{begin}_OFFSET {_initialiser(offsets[:, 0] if alike else offsets)}\n")
    return found


def _initialiser(values: Array) -> str:
    numbers = [repr(float(value)) for value in values.reshape(-1)]
    lines = [", ".join(numbers[start : start + 6]) for start in range(0, len(numbers), 6)]
    return "{ \\\n    " + ", \\\n    ".join(lines) + " }"
