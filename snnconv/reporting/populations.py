"""The part on populations: the error and the firing rate of each, and the one that hurts most, with cause and cure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from snnconv.metrics.error_sums import PopulationError
from snnconv.metrics.reading import Reading
from snnconv.metrics.verification_result import DEAD
from snnconv.reporting.charts import SPAN, Axis, figure, linear, plot, x_of, y_of
from snnconv.reporting.contents import Contents, Part
from snnconv.reporting.markup import Markup, joined, number, tag
from snnconv.reporting.sortable import SortableHead, sortable_table
from snnconv.reporting.wording import NOTHING, capital, count, counted, decimal, listed, share
from snnconv.spiking.population import Population
from snnconv.text import MOST_ERROR, code_text

#: Rows of the table, and bars of a chart, at most.
MOST_ROWS, _MOST_BARS = 200, 160
#: Share of a chart that a bar takes at most.
_WIDEST = 0.06


@dataclass(frozen=True)
class PopulationRow:
    """What is known of a population: its place in order of execution, what it is, and its figures for a sample."""

    place: int
    population: Population
    error: PopulationError | None
    spikes: float | None
    synops: float | None


def populations_part(contents: Contents) -> Part:
    """A table of all populations, or of the worst of very many, with charts of errors and firing rates in order."""
    rows = _rows(contents)
    shown = _worst(rows)
    reading = None
    if contents.look is not None and contents.look.verification is not None:
        reading = contents.look.verification.reading
    charts = [_error_chart(rows, reading), _rate_chart(rows)]
    drawn = [chart for chart in charts if chart is not None]
    content = joined([_told(contents, reading), tag("div", *drawn, class_="pair") if drawn else None])
    lead = "Every population stands for one activation of the original; here they are in order of execution."
    if contents.look is not None and reading is not None:
        lead += f" Errors are those of {counted(contents.look.samples, 'sample')}."
    return Part("populations", "Population by population", lead, joined([content, _table(shown, len(rows), reading)]))


def _rows(contents: Contents) -> list[PopulationRow]:
    errors: dict[str, PopulationError] = {}
    if contents.look is not None and contents.look.verification is not None:
        errors = {each.name: each for each in contents.look.verification.populations}
    costs = contents.costs
    total = 0.0 if costs is None else costs.synops
    found = []
    for place, population in enumerate(contents.network.populations.values(), 1):
        spikes = synops = None
        if costs is not None:
            spikes = costs.spikes[population.name] / population.neurons
            synops = costs.synops_by_source.get(population.name, 0.0) / total if total else 0.0
        found.append(PopulationRow(place, population, errors.get(population.name), spikes, synops))
    return found


def _worst(rows: Sequence[PopulationRow]) -> list[PopulationRow]:
    """The rows with the largest errors of their own, or without errors the most operations, in order of execution."""

    def harm(row: PopulationRow) -> tuple[float, float]:
        return (0.0 if row.error is None else row.error.own, row.synops or 0.0)

    return sorted(sorted(rows, key=harm, reverse=True)[:MOST_ROWS], key=lambda row: row.place)


def _told(contents: Contents, reading: Reading | None) -> Markup:
    """What hurts most and what helps; inputs that left their range, which makes all figures worse, come first."""
    told = [] if contents.look is None else [tag("p", f"{capital(each)}.") for each in contents.look.warnings]
    if reading is not None and reading.population:
        told.append(
            tag(
                "dl",
                tag("div", tag("dt", "Worst"), tag("dd", tag("strong", reading.population))),
                tag("div", tag("dt", "Error of its own"), tag("dd", share(reading.own, 2))),
                tag("div", tag("dt", "Cause"), tag("dd", reading.cause)),
                tag("div", tag("dt", "Error of the output"), tag("dd", share(reading.output, 2))),
                tag("div", tag("dt", "What helps"), tag("dd", reading.cure or "nothing needs to: it is near enough")),
            )
        )
    if contents.look is not None and contents.look.verification is not None:
        dead = [each.name for each in contents.look.verification.populations if each.dead]
        told += [tag("p", f"Dead: {listed(dead)}: {DEAD}.")] if dead else []
    silent = [each.name for each in contents.network.populations.values() if each.silent_channels]
    if silent:
        names = f"{silent[0]}{f' and {len(silent) - 1} more' if len(silent) > 1 else ''}"
        told.append(tag("p", f"Some channels fired for no calibration sample, in {names}."))
    return tag("div", *told, class_="told") if told else Markup()


def _error_chart(rows: Sequence[PopulationRow], reading: Reading | None) -> Markup | None:
    if reading is None or not any(row.error is not None for row in rows):
        return None
    worst = next((row.place for row in rows if row.population.name == reading.population), None)
    says = f"Errors of {len(rows)} populations, each relative to what it should have said."
    says += f" The largest is {share(reading.own, 2)}, of {reading.population}." if reading.population else ""
    caption = "What each adds to the error itself, given what it received. The worst is marked."
    return _bars(
        rows,
        lambda row: 100.0 * (0.0 if row.error is None else min(row.error.own, MOST_ERROR)),
        "error of its own, %",
        says,
        caption,
        worst,
    )


def _rate_chart(rows: Sequence[PopulationRow]) -> Markup | None:
    if all(row.spikes is None for row in rows):
        return None
    most = max(rows, key=lambda row: row.spikes or 0.0)
    says = f"Spikes per neuron of {len(rows)} populations. {most.population.name} fires most, {decimal(most.spikes)}."
    caption = "Spikes of a neuron for one sample, mean over the neurons of each population."
    return _bars(rows, lambda row: row.spikes or 0.0, "spikes per neuron", says, caption, None)


def _bars(
    rows: Sequence[PopulationRow],
    height: Callable[[PopulationRow], float],
    name: str,
    says: str,
    caption: str,
    worst: int | None,
) -> Markup:
    """A bar for every population; of more than a screen holds, the highest of neighbours."""
    every = -(-len(rows) // _MOST_BARS)
    groups = [rows[start : start + every] for start in range(0, len(rows), every)]
    heads = [max(group, key=height) for group in groups]
    places = f"population, from input to output{f', {every} to a bar' if every > 1 else ''}"
    marks = ((0.5, "1"), (len(heads) - 0.5, str(len(rows)))) if len(heads) > 1 else ((0.5, "1"),)
    x = Axis(0.0, float(len(heads)), places, marks)
    y = linear([height(row) for row in heads], name, zero=True)
    bars = []
    for position, (group, row) in enumerate(zip(groups, heads, strict=True)):
        width = min(0.76, _WIDEST * len(heads))
        left = position + (1.0 - width) / 2
        marked = any(each.place == worst for each in group)
        bars.append(
            tag(
                "rect",
                tag("title", f"{row.population.name}: {height(row):.3g}"),
                x=x_of(x, left),
                y=y_of(y, height(row)),
                width=number(SPAN * width / len(heads), 1),
                height=number(SPAN * y.share(height(row)), 1),
                class_="bar worst" if marked else "bar",
            )
        )
    return figure(plot(x, y, bars, says), caption)


Figure = Callable[[PopulationRow], float | None]
#: A column of figures: its head, what that means, the figure of a row, and its text.
Column = tuple[str, str, Figure, Callable[[float], str]]


def _of_error(name: str) -> Figure:
    return lambda row: None if row.error is None else float(getattr(row.error, name))


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else ''}{share(value, 2)}"


_COLUMNS: tuple[Column, ...] = (
    ("own error", "what it adds itself, relative", _of_error("own"), lambda value: share(value, 2)),
    ("spikes per neuron", "mean for one sample", lambda row: row.spikes, decimal),
    (
        "share of synaptic operations",
        "caused by its spikes; those that pooling passes on count there",
        lambda row: row.synops,
        share,
    ),
    ("whole error", "with that of what it received", _of_error("relative"), lambda value: share(value, 2)),
    (
        "bias",
        "mean error in units of the mean activation",
        _of_error("bias"),
        lambda value: f"{'+' if value >= 0 else ''}{share(value, 2)}",
    ),
    ("saturated", "activations beyond what its code carries", _of_error("saturated"), lambda value: share(value, 2)),
    ("spurious", "inactive neurons that fired all the same", _of_error("spurious"), lambda value: share(value, 2)),
    ("neurons", "neurons for one sample", lambda row: float(row.population.neurons), count),
)


def _table(rows: Sequence[PopulationRow], total: int, reading: Reading | None) -> Markup:
    """The table; a head is a button that sorts by its column."""
    columns = [each for each in _COLUMNS if any(each[2](row) is not None for row in rows)]
    heads = [
        SortableHead("#", "place in order of execution", ascending=True),
        SortableHead("population", text=True),
        *(SortableHead(name, why) for name, why, _, _ in columns),
        SortableHead("code", text=True),
    ]
    lines = [_line(row, columns, reading is not None and row.population.name == reading.population) for row in rows]
    said = f"All {counted(total, 'population')}." if len(rows) == total > 1 else ""
    if len(rows) < total:
        by = "largest errors of their own" if reading is not None else "most synaptic operations"
        said = (
            f"The {len(rows)} of {total:,} populations with the {by}; the others are left out to keep this file small."
        )
    return sortable_table(heads, lines, said, "Table of populations")


def _line(row: PopulationRow, columns: Sequence[Column], worst: bool) -> Markup:
    figures = []
    for _, _, figure_of, text in columns:
        value = figure_of(row)
        shown = NOTHING if value is None else text(value)
        figures.append(tag("td", shown, data_value=None if value is None else f"{value:.6g}"))
    name = tag("th", row.population.name, tag("span", " worst", class_="mark") if worst else None, scope="row")
    code = tag("td", code_text(row.population.code), class_="text")
    return tag("tr", tag("td", str(row.place)), name, *figures, code, class_="worst" if worst else None)
