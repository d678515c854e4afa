"""The results of a sweep as one table, with the Pareto fronts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from snnconv.errors import ConfigurationError
from snnconv.graph.real_valued import share_text
from snnconv.spiking.logs import Cost
from snnconv.sweeps.file import broken, read
from snnconv.sweeps.plotting import plot
from snnconv.sweeps.results import COSTS, Measured
from snnconv.tables import Cell, Column, ResultTable, Tabular

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Failed:
    """A configuration that the network does not support, and why."""

    label: str
    reason: str


@dataclass(frozen=True)
class Sweep(Tabular):
    """What was measured, and what failed, in the order of the codings. Prints as a table.

    Attributes:
        results: What was measured of every coding.
        failures: The codings that could not be measured, with the reasons.
    """

    results: tuple[Measured, ...]
    failures: tuple[Failed, ...] = ()

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Sweep:
        """All that the file ``path`` of a sweep holds, in the order of measurement. Raises ``StorageError``."""
        _, entries = read(path)
        found = {label: measured_of(label, entry) for label, entry in entries.items()}
        failures = tuple(Failed(label, str(entry["failure"])) for label, entry in entries.items() if "failure" in entry)
        missing = [label for label, result in found.items() if result is None and "failure" not in entries[label]]
        if missing:
            raise broken(path, f"the figures of {missing[0]!r} are incomplete")
        return Sweep(tuple(result for result in found.values() if result is not None), failures)

    def pareto(self, cost: Cost = "spikes") -> tuple[Measured, ...]:
        """Results that none beats: at least as accurate and as cheap, and better in one; the cheapest first.

        ``energy`` is that of model E3. Raises ``ConfigurationError`` for another cost.
        """
        if cost not in COSTS:
            raise ConfigurationError(f"unknown cost {cost!r}; known: {', '.join(COSTS)}")
        points = [(result.cost(cost), -result.quality, result) for result in self.results]
        front = [
            (paid, lost, result)
            for paid, lost, result in points
            if not any(p <= paid and q <= lost and (p, q) != (paid, lost) for p, q, _ in points)
        ]
        return tuple(result for _, _, result in sorted(front, key=lambda point: point[:2]))

    def plot(self, target: str | os.PathLike[str] | Sequence[Any] | None = None) -> Sequence[Axes]:
        """Accuracy against spikes, latency and energy (E3), with the Pareto fronts; returns the three axes.

        ``target`` is a file to write or three matplotlib axes to draw on; ``None`` makes a new figure. A configuration
        without spikes has no place on the logarithmic axis of spikes. Raises ``ConfigurationError`` without results or
        without matplotlib, ``StorageError`` where the file cannot be written.
        """
        return plot(self.results, {cost: self.pareto(cost) for cost in COSTS}, target)

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, ready for JSON."""
        return {"results": [asdict(r) for r in self.results], "failures": [asdict(f) for f in self.failures]}

    def __repr__(self) -> str:
        return f"Sweep({len(self.results)} configurations, {len(self.failures)} failed)"

    def to_table(self) -> ResultTable:
        """What was measured of every configuration, and the fronts that it is on."""
        values = any(result.deviation is not None for result in self.results)
        bound = any(result.synops_are_bound for result in self.results)
        columns = (
            Column("configuration"),
            Column("steps", form="g"),
            *(_VALUES if values else _DECISIONS),
            Column("spikes per neuron", form=".3f"),
            Column("SynOps", form=".3g", bounds=bound),
            Column("E2", "J", ".3g", bounds=bound),
            Column("E3", "J", ".3g", bounds=bound),
            Column("Pareto front"),
        )
        fronts = {cost: {result.label for result in self.pareto(cost)} for cost in COSTS}
        rows = tuple(
            (
                result.label,
                result.latency,
                *_judged(result),
                result.spikes_per_neuron,
                *(result.synops, result.e2, result.e3),
                ", ".join(cost for cost, front in fronts.items() if result.label in front),
            )
            for result in self.results
        )
        return ResultTable(columns, rows)

    def __str__(self) -> str:
        lines = [str(self.to_table())]
        if self.results:
            first = self.results[0]
            lines.append(
                f"original network: {_reference(first)}, E2 {first.e2_reference:.3g} J, "
                f"E3 {first.e3_reference:.3g} J; {first.samples} samples"
            )
            if first.analog_macs:
                share = share_text(first.analog_macs, first.reference_macs)
                lines.append(f"{share}: they are in E2 and E3 of both networks, and no spikes stand for them")
        return "\n".join([*lines, *(f"failed: {failure.label}: {failure.reason}" for failure in self.failures)])


def measured_of(label: str, entry: Mapping[str, Any]) -> Measured | None:
    """The figures of a stored entry; ``None`` unless all are there, each of its own kind."""
    figures = entry.get("figures")
    if not isinstance(figures, dict):
        return None
    kinds: dict[str, tuple[type, ...]] = {
        "str": (str,),
        "int": (int,),
        "float": (int, float),
        "float | None": (int, float, type(None)),
        "int | None": (int, type(None)),
        "bool | None": (bool, type(None)),
    }
    for field in fields(Measured)[1:]:
        value = figures.get(field.name, None if field.default is None else _MISSING)
        kind = kinds[str(field.type)]
        if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind):
            return None
    found: dict[str, Any] = {field.name: figures.get(field.name) for field in fields(Measured)[1:]}
    return Measured(label, **found)


def _judged(result: Measured) -> tuple[Cell, ...]:
    """The cells of what was judged."""
    if result.deviation is None:
        return result.accuracy, result.standard_error, result.loss, result.agreement
    return result.relative_error, result.mse, result.r2, result.deviation


def _reference(result: Measured) -> str:
    if result.deviation is None:
        return "no targets" if result.reference_accuracy is None else f"{result.reference_accuracy:.2f} %"
    names = {
        "relative error": result.reference_relative_error,
        "MSE": result.reference_mse,
        "R2": result.reference_r2,
    }
    known = [f"{name} {figure:.4g}" for name, figure in names.items() if figure is not None]
    return ", ".join(known or ["no targets"])


_MISSING = object()
#: Columns of what was judged.
_DECISIONS = tuple(
    Column(name, unit, ".2f")
    for name, unit in (("accuracy", "%"), ("standard error", "%"), ("loss", "%"), ("agreement", "%"))
)
_VALUES = tuple(Column(name, form=".4g") for name in ("relative error", "MSE", "R2", "deviation"))
