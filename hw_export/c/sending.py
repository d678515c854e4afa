"""What becomes of a payload in C: it is observed, kept for max poolings, and added to every target."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template

from hw_export.c.draft import Draft
from hw_export.c.gates import sent, sent_type, total
from hw_export.c.neurons import drive, potential
from hw_export.c.synapses import connect, is_silent
from hw_export.integers.parallel import merged


def connections(draft: Draft, sums: Mapping[str, str]) -> dict[str, list[str]]:
    """The functions that a payload of every source is given to, by node."""
    found: dict[str, list[str]] = {}
    for position, connection in enumerate(merged(draft.integers.connections)):
        if is_silent(connection.map):
            continue
        source, target = connection.source, connection.target
        if source in draft.integers.explicit.inputs and not draft.windowed:
            found.setdefault(source, []).append(connect(draft, connection, position, drive(draft, target), "int32_t"))
        elif target in sums:
            member = f"state->sum_{draft.identifiers[target]}"
            found.setdefault(source, []).append(connect(draft, connection, position, member, sums[target]))
        else:
            found.setdefault(source, []).append(
                connect(draft, connection, position, potential(draft, target), "int32_t")
            )
    return found


_SEND = Template("""\
static void $function($state *state, int32_t place, int32_t channel, int32_t payload)
{
$lines
}
""")


def sends(draft: Draft, connections: Mapping[str, list[str]]) -> dict[str, str]:
    """The function that takes a payload of every source wherever it goes, by node."""
    explicit, found = draft.integers.explicit, {}
    pooled = {gate.source for gate in explicit.gates.values()}
    numbers = {node: number for number, node in enumerate(explicit.shapes)}
    for node in (*explicit.inputs, *explicit.shapes):
        sites, lines = draft.sites[node], []
        if node in numbers:
            lines.append(f"SNNCONV_OBSERVE({numbers[node]}, state->step, channel * {sites.places} + place, payload);")
        if node in pooled:
            place = f"[place * {sites.channels} + channel]"
            lines.append(
                f"{sent(draft, node)}{place} = ({sent_type(draft, node)})payload;"
                if draft.windowed
                else f"{total(draft, node)}{place} += payload;"
            )
        lines += [f"{function}(state, place, channel, payload);" for function in connections.get(node, [])]
        if lines:
            body = "\n".join(f"    {line}" for line in lines)
            found[node] = draft.function(node, "send", _SEND, lines=body)
    return found
