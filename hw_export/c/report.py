"""The report of an export to C: what each part takes of memory and time, what was rewritten, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hw_export.c.phases import window
from hw_export.c.program import CProgram
from hw_export.c.vectors import Vectors
from hw_export.integers.fidelity import Fidelity
from snnconv.tables import Column, ResultTable, Tabular


@dataclass(frozen=True)
class ProgramPart:
    """What an input, a population, a max pooling or an output takes.

    ``ram`` are bytes of the state, ``flash`` those of constant tables, weights into a population or output among them.
    ``spikes`` are sent and ``additions`` caused by the spikes that arrive in a sample, on average. ``updates`` of
    neurons are done in a sample, whatever the input: one for each neuron and step, of a max pooling one for each entry
    of a window.
    """

    name: str
    neurons: int
    ram: int
    flash: int
    spikes: float
    additions: float
    updates: int


@dataclass(frozen=True)
class ProgramReport(Tabular):
    """Parts in order of execution, memory in bytes, what was rewritten, and the fidelity before and after.

    ``measured_on`` says which samples ``spikes`` and ``additions`` are means of.
    """

    name: str
    steps: int
    parts: tuple[ProgramPart, ...]
    ram: int
    flash: int
    measured_on: str
    notes: tuple[str, ...]
    fidelity: Mapping[str, Fidelity]

    @property
    def additions(self) -> float:
        """Additions that spikes and inputs cause in a sample, on average."""
        return sum(part.additions for part in self.parts)

    @property
    def updates(self) -> int:
        """Updates of neurons in a sample."""
        return sum(part.updates for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        totals = {"additions": self.additions, "updates": self.updates}
        return asdict(self) | {"fidelity": {label: asdict(found) for label, found in self.fidelity.items()}} | totals

    def to_table(self) -> ResultTable:
        """What every part takes."""
        columns = (
            *(Column("part"), Column("neurons"), Column("RAM", "bytes"), Column("tables", "bytes")),
            *(Column("spikes", form=".0f"), Column("additions", form=".0f"), Column("updates")),
        )
        rows = tuple(
            (part.name, part.neurons, part.ram, part.flash, part.spikes, part.additions, part.updates)
            for part in self.parts
        )
        return ResultTable(columns, rows)

    def __str__(self) -> str:
        total = (
            f"in all: {self.ram} bytes of RAM, {self.flash} bytes of constant tables, {self.steps} steps a sample, "
            f"{self.additions:.0f} additions and {self.updates} updates of neurons a sample"
        )
        means = f"spikes and additions are means of {self.measured_on}; updates are the same for every sample"
        measured = [f"{label}: {found}" for label, found in self.fidelity.items()]
        return "\n".join([str(self.to_table()), total, means, *(f"- {note}" for note in self.notes), *measured])


def report_of(
    program: CProgram, vectors: Vectors, notes: Sequence[str], fidelity: Mapping[str, Fidelity]
) -> ProgramReport:
    """The report of ``program``, with means of ``vectors`` and the ``fidelity`` that was measured, by label."""
    parts, steps = _parts(program, vectors), program.integers.steps
    return ProgramReport(program.name, steps, parts, program.ram, program.flash, vectors.source, tuple(notes), fidelity)


def _parts(program: CProgram, vectors: Vectors) -> tuple[ProgramPart, ...]:
    integers, found = program.integers, []
    spikes = dict(zip(integers.explicit.shapes, vectors.spikes.mean(0), strict=True))
    for node in (*integers.explicit.inputs, *integers.explicit.shapes, *integers.outputs):
        updates, neurons = 0, program.sites[node].neurons
        if node in integers.explicit.shapes:
            updates = neurons * window(integers, node)[1]
        if node in integers.explicit.gates:
            height, width = integers.explicit.gates[node].kernel
            updates *= height * width
        found.append(
            ProgramPart(
                integers.explicit.name(node).removesuffix(" decoded"),
                neurons,
                sum(member.bytes for member in program.members if member.owner == node),
                sum(table.bytes for table in program.tables if table.owner == node),
                float(spikes.get(node, 0.0)),
                vectors.additions.get(node, 0.0),
                updates,
            )
        )
    return tuple(found)
