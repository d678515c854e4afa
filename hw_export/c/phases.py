"""The public functions of a program in C: a sample begins, takes its steps and is read."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from textwrap import indent

from hw_export.c.draft import Draft
from hw_export.c.gates import sent
from hw_export.c.neurons import beginnings, drive
from hw_export.explicit.network import Gate
from hw_export.integers.network import IntegerNetwork


def window(integers: IntegerNetwork, node: str) -> tuple[int, int]:
    """The first step at which ``node``, a population or a max pooling, may fire, and how many there are."""
    timing = integers.network.timing
    if timing is None:
        return 0, integers.steps
    population = _fires(integers.explicit.gates, node)
    return timing.starts[population], timing.lengths[population]


def _fires(gates: Mapping[str, Gate], node: str) -> str:
    """The population whose spikes reach the max pooling ``node``, or ``node`` itself."""
    return _fires(gates, gates[node].source) if node in gates else node


_NEURONS = Template("""\
    for (int32_t place = 0; place < $places; ++place) {
        for (int32_t channel = 0; channel < $channels; ++channel) {
            $line
        }
    }
""")
_INPUT = """\
int32_t value = (int32_t)input->{name}[channel * {places} + place];
            value = value > {largest} ? {largest} : value;
            value = value < {smallest} ? {smallest} : value;
            if (value != 0) {{
                {send}(state, place, channel, value);
            }}"""


def _entries(count: int, line: str) -> str:
    """``line`` for each entry of an array."""
    return f"    for (int32_t entry = 0; entry < {count}; ++entry) {{\n        {line}\n    }}\n"


def begin(draft: Draft, sends: Mapping[str, str]) -> str:
    """The function that makes the state that of a new sample, and gives inputs to the functions ``sends``."""
    name, integers = draft.name, draft.integers
    lines = []
    first = beginnings(draft)
    for member in draft.ordered_members:
        value = first.get(member.name, "0")
        if "neuron" in value or "channel" in value:
            sites = draft.sites[member.owner]
            index = f"place * {sites.channels} + channel"
            line = f"state->{member.name}[{index}] = {value.replace('[neuron]', f'[{index}]')};"
            lines.append(_NEURONS.substitute(places=sites.places, channels=sites.channels, line=line))
        else:
            lines.append(_entries(member.count, f"state->{member.name}[entry] = {value};"))
    lines.append("    state->step = 0;\n")
    for node in integers.explicit.inputs:
        if node in sends:
            sites = draft.sites[node]
            line = _INPUT.format(
                name=draft.identifiers[node],
                places=sites.places,
                smallest=integers.inputs[node].smallest,
                largest=integers.inputs[node].largest,
                send=sends[node],
            )
            lines.append(_NEURONS.substitute(places=sites.places, channels=sites.channels, line=line))
    unused = "" if sends.keys() & integers.explicit.inputs.keys() else "    (void)input;\n"
    return (
        f"void snnconv_{name}_begin(snnconv_{name}_state *state, const snnconv_{name}_input *input)\n"
        f"{{\n{unused}{''.join(lines)}}}\n"
    )


def step(draft: Draft, fires: Mapping[str, str]) -> str:
    """The function that computes a time step, by the functions of populations and max poolings in ``fires``."""
    lines = []
    for node, function in fires.items():
        first, length = window(draft.integers, node)
        moment = f", step - {first}" if draft.windowed and node in draft.integers.populations else ""
        part = f"    {function}(state{moment});\n"
        if f"sent_{draft.identifiers[node]}" in draft.members:
            part = _entries(draft.sites[node].neurons, f"{sent(draft, node)}[entry] = 0;") + part
        if draft.windowed:
            part = f"    if (step >= {first} && step < {first + length}) {{\n{indent(part, '    ')}    }}\n"
        lines.append(part)
    for node in draft.integers.outputs:
        if f"drive_{draft.identifiers[node]}" in draft.members:
            line = f"state->sum_{draft.identifiers[node]}[entry] += {drive(draft, node)}[entry];"
            lines.append(_entries(draft.sites[node].neurons, line))
    return _STEP.substitute(name=draft.name, steps=draft.integers.steps, lines="".join(lines))


_STEP = Template("""\
void snnconv_${name}_step(snnconv_${name}_state *state)
{
    const int32_t step = state->step;
    if (step >= $steps) {
        return;
    }
$lines    state->step = step + 1;
}
""")


def read(draft: Draft) -> str:
    """The function that gives the sums out."""
    lines = []
    for node in draft.integers.outputs:
        sites, identifier = draft.sites[node], draft.identifiers[node]
        line = (
            f"output->{identifier}[channel * {sites.places} + place] = "
            f"state->sum_{identifier}[place * {sites.channels} + channel];"
        )
        lines.append(_NEURONS.substitute(places=sites.places, channels=sites.channels, line=line))
    name = draft.name
    return (
        f"void snnconv_{name}_read(const snnconv_{name}_state *state, snnconv_{name}_output *output)\n"
        f"{{\n{''.join(lines)}}}\n"
    )


def run(draft: Draft) -> str:
    """The function that computes a whole sample."""
    return _RUN.substitute(name=draft.name, steps=draft.integers.steps)


_RUN = Template("""\
void snnconv_${name}_run(
    snnconv_${name}_state *state, const snnconv_${name}_input *input, snnconv_${name}_output *output)
{
    snnconv_${name}_begin(state, input);
    for (int32_t step = 0; step < $steps; ++step) {
        snnconv_${name}_step(state);
    }
    snnconv_${name}_read(state, output);
}
""")
