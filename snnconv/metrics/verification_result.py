"""What ``snnconv.verify`` measured: errors of all populations, and a reading of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from snnconv.metrics.error_sums import PopulationError, VerificationSums
from snnconv.metrics.reading import Reading, read
from snnconv.metrics.totals import check_alike
from snnconv.tables import Column, ResultTable, Tabular
from snnconv.text import MOST_ERROR

#: What a dead population is, and means for its errors.
DEAD = "the original's activation is 0 on all of these samples, so errors have nothing to be relative to"


@dataclass(frozen=True)
class Verification(Tabular):
    """Errors of all populations in order of execution, and of the output. Prints as a table with a reading of it.

    Attributes:
        steps: Time steps of the simulation.
        samples: Number of samples.
        populations: The errors of every population.
        output: The error of the output; decisions, as of argmax, count as vectors of zeros with a one each.
        sums: The sums behind all errors.
        waits: Whether populations fire in windows of their own, when all that they receive is there.
        looked_up: The populations whose spikes are looked up in tables.
        limited: The populations whose codes limit the spikes of a window.
    """

    steps: int
    samples: int
    populations: tuple[PopulationError, ...]
    output: float
    sums: VerificationSums = field(repr=False)
    waits: bool = field(repr=False)
    looked_up: frozenset[str] = field(repr=False)
    limited: frozenset[str] = field(repr=False, default=frozenset())

    @property
    def reading(self) -> Reading:
        """What hurts most, why, and what helps."""
        return read(self.sums, self.waits, self.looked_up, self.limited)

    def merge(self, other: Verification) -> Verification:
        """The verification on the data of both; counts are exact, sums of squares to rounding.

        Both must be of one network under one setting. Raises ``InputError`` where they cannot be.
        """
        check_alike(self, other, ("steps", "waits", "looked_up", "limited"))
        return verification_of(self.steps, self.sums.merge(other.sums), self.waits, self.looked_up, self.limited)

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, ready for JSON."""
        return {
            "steps": self.steps,
            "samples": self.samples,
            "output": self.output,
            "populations": [vars(population) for population in self.populations],
            "reading": vars(self.reading),
        }

    def __repr__(self) -> str:
        what = f"{self.samples} samples, {self.steps} steps, {len(self.populations)} populations"
        return f"Verification({what}, relative error of the output {self.output:.4f})"

    def to_table(self) -> ResultTable:
        """The errors of every population, and of the output."""
        columns = (
            Column("population"),
            Column("relative error", form=".4f", most=MOST_ERROR),
            Column("own", form=".4f", most=MOST_ERROR),
            Column("bias", form="+.4f", most=MOST_ERROR),
            Column("saturated", form=".2%"),
            Column("spurious", form=".2%"),
        )
        rows = tuple((p.name, p.relative, p.own, p.bias, p.saturated, p.spurious) for p in self.populations)
        return ResultTable(columns, (*rows, ("output", self.output, None, None, None, None)))

    def __str__(self) -> str:
        lines = [f"{self.samples} samples, {self.steps} steps", str(self.to_table()), str(self.reading)]
        if dead := [each.name for each in self.populations if each.dead]:
            lines.insert(2, f"dead: {', '.join(dead)}: {DEAD}")
        return "\n".join(lines)


def verification_of(
    steps: int, sums: VerificationSums, waits: bool, looked_up: frozenset[str], limited: frozenset[str] = frozenset()
) -> Verification:
    """The verification that follows from ``sums``, with attributes of these names."""
    errors = tuple(each.error(name) for name, each in sums.populations.items())
    return Verification(steps, sums.samples, errors, sums.output.relative, sums, waits, looked_up, limited)
