"""An integer network as a program in C99: one header and one source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

from hw_export.c.draft import Draft, Member, Sites, Table
from hw_export.c.gates import pool
from hw_export.c.header import header
from hw_export.c.identifiers import check_name
from hw_export.c.neurons import fire, potential
from hw_export.c.phases import begin, read, run, step
from hw_export.c.sending import connections, sends
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.ranges import check_ranges
from snnconv.errors import ConfigurationError

_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class CProgram:
    """``header`` and ``source`` of the integer network ``integers``, with what they take: RAM and flash in bytes.

    ``tables`` are constants and ``members`` arrays of the state; their owners are nodes, whose names in C are in
    ``identifiers``, and the order of their neurons in ``sites``.
    """

    name: str
    integers: IntegerNetwork
    header: str
    source: str
    identifiers: Mapping[str, str]
    sites: Mapping[str, Sites]
    tables: tuple[Table, ...]
    members: tuple[Member, ...]
    ram: int
    flash: int


def program(integers: IntegerNetwork, name: str) -> CProgram:
    """The program of ``integers``, whose identifiers contain ``name``.

    Raises ``ConfigurationError`` for a name that is no identifier, for membranes that could overflow, and for tables or
    a state that are too large for an index of 32 bits.
    """
    check_name(name)
    check_ranges(integers)
    draft = Draft(integers, name)
    sums = _sums(draft)
    _check_totals(draft)
    for node in integers.populations:
        potential(draft, node)
    send = sends(draft, connections(draft, sums))
    fires = {
        node: (pool if node in integers.explicit.gates else fire)(draft, node, send[node])
        for node in integers.explicit.shapes
    }
    public = [begin(draft, send), step(draft, fires), read(draft), run(draft)]
    parts = [_HEAD.substitute(name=name), *(table.text for table in draft.tables), *draft.functions, *public]
    return CProgram(
        name,
        integers,
        header(draft, sums),
        "\n".join(parts),
        draft.identifiers,
        draft.sites,
        tuple(draft.tables),
        tuple(draft.ordered_members),
        draft.ram,
        draft.flash,
    )


_HEAD = Template("""\
/* See $name.h, which says what this is and how it is used. */
#include "$name.h"

#ifndef SNNCONV_OBSERVE
#define SNNCONV_OBSERVE(population, step, neuron, payload) \\
    do { \\
        (void)(population); \\
        (void)(step); \\
        (void)(neuron); \\
        (void)(payload); \\
    } while (0)
#endif
""")


def _sums(draft: Draft) -> dict[str, str]:
    """The type of the sums of every output, which become members: of 64 bits where 32 might not hold them."""
    steps, found = draft.integers.steps, {}
    for node in draft.integers.outputs:
        found[node] = "int32_t" if draft.reaches[node].size * steps <= _LARGEST else "int64_t"
        draft.member(node, "sum", found[node], draft.sites[node].neurons)
    return found


def _check_totals(draft: Draft) -> None:
    """Raise ``ConfigurationError`` where what a source of max pooling sends in a sample has more than 32 bits."""
    for gate in draft.integers.explicit.gates.values():
        bounds = draft.payloads[gate.source]
        if max(-bounds.smallest_sum, bounds.largest_sum) > _LARGEST:
            raise ConfigurationError(
                f"{draft.integers.explicit.name(gate.source)}: what its neurons send in a sample may exceed 32 bits, "
                "and max pooling adds it up; use fewer steps, or a smaller burst gain"
            )
