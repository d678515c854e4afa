"""The part on a sweep: what codes cost and what they keep, with the Pareto fronts."""

from __future__ import annotations

from collections.abc import Sequence

from snnconv.plots.fronts import COST_NAMES, cost_name, families, quality_name
from snnconv.plots.spikes import evenly
from snnconv.reporting.charts import Axis, dot, figure, legend, level, line, linear, logarithmic, plot
from snnconv.reporting.contents import Contents, Part
from snnconv.reporting.markup import Markup, joined, tag
from snnconv.reporting.sortable import SortableHead, sortable_table
from snnconv.reporting.wording import NOTHING, count, counted, decimal, joules, listed, percent
from snnconv.spiking.logs import Cost
from snnconv.sweeps.results import Measured
from snnconv.sweeps.table import Sweep
from snnconv.text import at_most

#: Classes of colours that codes take in turn, and rows of the table at most.
_COLOURS, _MOST_ROWS = ("one", "two", "three", "four", "five"), 200
#: Dots of a chart at most.
_MOST_DOTS = 500


def fronts_part(contents: Contents) -> Part | None:
    """A chart for every cost, and a table; ``None`` without a sweep that measured something."""
    sweep = contents.sweep
    if sweep is None or not sweep.results:
        return None
    kinds = {code: _COLOURS[place % len(_COLOURS)] for place, code in enumerate(families(sweep.results))}
    charts = [_panel(sweep, cost, cost_name(sweep.results, cost), kinds) for cost in COST_NAMES]
    keys = legend(
        [
            *((f"{kind} point", f"{code} code") for code, kind in kinds.items()),
            ("front", "Pareto front"),
            ("level", "original"),
        ]
    )
    lead = f"{counted(len(sweep.results), 'configuration')} of a sweep; on a front are those that none beats."
    content = joined([keys, tag("div", *charts, class_="triple"), _table(sweep), _failures(sweep)])
    return Part("sweep", "Other codes", lead, content)


def _panel(sweep: Sweep, cost: Cost, title: str, kinds: dict[str, str]) -> Markup:
    points = [result for result in sweep.results if result.cost(cost) > 0]
    if not points:
        return Markup()
    front = [result for result in sweep.pareto(cost) if result.cost(cost) > 0]
    first = sweep.results[0]
    reference = 100.0 if first.accuracy is None else first.reference_accuracy
    costs = [result.cost(cost) for result in points]
    x = logarithmic(costs, title, "J" if cost == "energy" else "")
    qualities = [result.quality for result in points] + ([] if reference is None else [reference])
    y = linear(qualities, quality_name(first), most=100.0)
    content = [] if reference is None else [level(y, reference, "level")]
    content.append(_front(x, y, front, cost))
    beaten = [result for result in points if result not in front]
    drawn = [each[place] for each in (beaten, front) for place in evenly(len(each), _MOST_DOTS // 2)]
    for result in drawn:
        paid = _energy(result) if cost == "energy" else count(result.cost(cost))
        says = f"{result.label}: {percent(result.quality)} for {paid}"
        kind = kinds[result.code]
        content.append(dot(x, y, (result.cost(cost), result.quality), kind if result in front else f"{kind} off", says))
    best = listed([result.label for result in front], most=8)
    left = len(points) - len(drawn)
    caption = f"{left:,} configurations are not drawn, to keep this file small." if left else None
    says = f"{quality_name(first)} against {title}, of {len(points)} configurations. On the Pareto front: {best}."
    return figure(plot(x, y, content, says), caption)


def _front(x: Axis, y: Axis, front: Sequence[Measured], cost: Cost) -> Markup:
    steps: list[tuple[float, float]] = []
    for result in front:
        if steps:
            steps.append((result.cost(cost), steps[-1][1]))
        steps.append((result.cost(cost), result.quality))
    return line(x, y, [*steps, (x.high, steps[-1][1])], "front") if steps else Markup()


def _table(sweep: Sweep) -> Markup:
    names = ("configuration", "quality", "time steps", "spikes per neuron", "E3", "Pareto front")
    heads = [SortableHead(name, text=name in (names[0], names[-1])) for name in names]
    fronts = {cost: {result.label for result in sweep.pareto(cost)} for cost in COST_NAMES}
    rows = []
    for result in sweep.results[:_MOST_ROWS]:
        on = ", ".join(cost for cost, labels in fronts.items() if result.label in labels)
        figures = (
            (result.quality, percent(result.quality, 2)),
            (result.latency, count(result.latency)),
            (result.spikes_per_neuron, decimal(result.spikes_per_neuron)),
            (result.e3, _energy(result)),
        )
        values = [tag("td", text, data_value=f"{value:.6g}") for value, text in figures]
        rows.append(tag("tr", tag("th", result.label, scope="row"), *values, tag("td", on or NOTHING, class_="text")))
    left = len(sweep.results) - len(rows)
    caption = f"{left:,} further rows are left out." if left else ""
    return sortable_table(heads, rows, caption, "Table of configurations")


def _energy(result: Measured) -> str:
    return at_most(joules(result.e3), bool(result.synops_are_bound))


def _failures(sweep: Sweep) -> Markup | None:
    if not sweep.failures:
        return None
    items = [tag("li", tag("strong", each.label), f": {each.reason}") for each in sweep.failures[:_MOST_ROWS]]
    head = tag("summary", f"{counted(len(sweep.failures), 'configuration')} failed")
    return tag("details", head, tag("ul", *items))
