"""The export report: what runs where, what it takes of a Loihi 2 chip, what was rewritten, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hw_export.integers.fidelity import Fidelity
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.rewriting import rewritten
from hw_export.lava.limits import CORES, Cores, cores_of
from hw_export.lava.placing import Placement, relays
from snnconv.tables import Column, ResultTable, Tabular


@dataclass(frozen=True)
class ExportReport(Tabular):
    """Placements in order of execution, what was rewritten, and the fidelity before and after."""

    placements: tuple[Placement, ...]
    notes: tuple[str, ...]
    fidelity: Mapping[str, Fidelity]

    @property
    def cores(self) -> Cores:
        """Cores of the whole network, whose parts share cores if they are the fewest."""
        return cores_of(each.load for each in self.placements if each.load)

    def to_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {
            "placements": [_as_dict(each) for each in self.placements],
            "cores": asdict(self.cores) | {"fit": self.cores.fit},
            "notes": list(self.notes),
            "fidelity": {label: asdict(found) for label, found in self.fidelity.items()},
        }

    def to_table(self) -> ResultTable:
        """What every population takes, and where it runs."""
        columns = (
            *(Column(name) for name in ("population", "neurons", "weights", "synapses", "bits")),
            Column("memory", "KiB", ".1f"),
            *(Column(name) for name in ("cores", "runs on")),
        )
        rows = tuple(
            (
                each.name,
                each.neurons,
                each.weights,
                each.synapses,
                each.weight_bits,
                each.memory / 1024,
                _interval(each.cores),
                f"{each.where}: {each.reason}",
            )
            for each in self.placements
        )
        return ResultTable(columns, rows)

    def __str__(self) -> str:
        fit = f"cores: {_interval(self.cores)} of {CORES} on a Loihi 2 chip: {self.cores.fit}"
        measured = [f"{label}: {found}" for label, found in self.fidelity.items()]
        return "\n".join([str(self.to_table()), fit, *(f"- {note}" for note in self.notes), *measured])


def _as_dict(placement: Placement) -> dict[str, Any]:
    figures = ("name", "neurons", "weights", "synapses", "weight_bits", "memory", "where", "built_in", "reason")
    cores = asdict(placement.cores) | {"fit": placement.cores.fit}
    return {name: getattr(placement, name) for name in figures} | {"cores": cores}


def _interval(cores: Cores) -> str:
    return str(cores.fewest) if cores.fewest == cores.most else f"{cores.fewest} to {cores.most}"


def notes(integers: IntegerNetwork) -> tuple[str, ...]:
    """What was rewritten on the way to Lava, and why."""
    found, delayed = rewritten(integers), sum(relays(integers).values())
    if delayed:
        found.append(
            f"skips wait {delayed} steps in all, since every connection of Lava takes one; in simulation relays of "
            "identity synapses delay them"
        )
    return tuple(found)
