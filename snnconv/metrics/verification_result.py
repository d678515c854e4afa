"""What ``snnconv.verify`` measured: errors of all populations, and a reading of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from snnconv.metrics.error_sums import PopulationError, VerificationSums
from snnconv.metrics.reading import Reading, read
from snnconv.metrics.totals import check_alike
from snnconv.tables import Column, ResultTable, Tabular


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
    """

    steps: int
    samples: int
    populations: tuple[PopulationError, ...]
    output: float
    sums: VerificationSums = field(repr=False)
    waits: bool = field(repr=False)
    looked_up: frozenset[str] = field(repr=False)

    @property
    def reading(self) -> Reading:
        """What hurts most, why, and what helps."""
        return read(self.sums, self.waits, self.looked_up)

    def merge(self, other: Verification) -> Verification:
        """The verification on the data of both; counts are exact, sums of squares to rounding.

        Both must be of one network under one setting. Raises ``InputError`` where they cannot be.
        """
        check_alike(self, other, ("steps", "waits", "looked_up"))
        return verification_of(self.steps, self.sums.merge(other.sums), self.waits, self.looked_up)

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
            Column("relative error", form=".4f"),
            Column("own", form=".4f"),
            Column("bias", form="+.4f"),
            Column("saturated", form=".2%"),
            Column("spurious", form=".2%"),
        )
        rows = tuple((p.name, p.relative, p.own, p.bias, p.saturated, p.spurious) for p in self.populations)
        return ResultTable(columns, (*rows, ("output", self.output, None, None, None, None)))

    def __str__(self) -> str:
        return f"{self.samples} samples, {self.steps} steps\n{self.to_table()}\n{self.reading}"


def verification_of(steps: int, sums: VerificationSums, waits: bool, looked_up: frozenset[str]) -> Verification:
    """The verification that follows from ``sums``, with attributes of these names."""
    errors = tuple(each.error(name) for name, each in sums.populations.items())
    return Verification(steps, sums.samples, errors, sums.output.relative, sums, waits, looked_up)
