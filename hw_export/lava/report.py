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
from snnconv.text import table


@dataclass(frozen=True)
class ExportReport:
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

    def __str__(self) -> str:
        head = ["population", "neurons", "weights", "synapses", "bits", "KB", "cores", "runs on"]
        rows = [
            [
                each.name,
                str(each.neurons),
                str(each.weights),
                str(each.synapses),
                str(each.weight_bits),
                f"{each.memory / 1024:.1f}",
                _interval(each.cores),
                f"{each.where}: {each.reason}",
            ]
            for each in self.placements
        ]
        fit = f"cores: {_interval(self.cores)} of {CORES} on a Loihi 2 chip: {self.cores.fit}"
        measured = [f"{label}: {found}" for label, found in self.fidelity.items()]
        return "\n".join([table(head, rows), fit, *(f"- {note}" for note in self.notes), *measured])


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
