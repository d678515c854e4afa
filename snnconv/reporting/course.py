"""The part on accuracy over time steps: what is decided, or how far values are off, after each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from snnconv.reporting.charts import Axis, band, figure, legend, level, line, linear, plot, time_axis
from snnconv.reporting.contents import Contents, Part
from snnconv.reporting.markup import Markup, joined, tag
from snnconv.reporting.wording import NOTHING, decimal

#: Points of a line; more than a screen has columns show nothing.
_POINTS = 400
Course = Sequence[float | None]
Point = TypeVar("Point")
#: By name: the low and the high end after every time step.
Intervals = Mapping[str, Sequence[tuple[float, float]]]


def course_part(contents: Contents) -> Part | None:
    """What is judged after every time step, and spikes up to it; ``None`` where only the end counts."""
    costs = contents.costs
    if costs is None or costs.spikes_by_step is None or costs.steps < 2:
        return None
    lines, reference, name = _courses(contents)
    spikes = [spikes / costs.neurons for spikes in costs.spikes_by_step]
    drawn = []
    if lines:
        intervals = {} if contents.evaluation is None else contents.evaluation.intervals
        drawn.append(_judged_figure(lines, intervals, reference, name, costs.steps))
    x = time_axis(costs.steps)
    y = linear(spikes, "spikes per neuron so far", zero=True)
    content = [line(x, y, _points(spikes), "one")]
    drawn.append(
        figure(
            plot(x, y, content, f"Spikes per neuron rise to {spikes[-1]:.3f} after {costs.steps} time steps."),
            "Spikes of a neuron up to each time step, mean over all neurons and samples.",
        )
    )
    lead = "All populations run at once, so there is an output after every time step: how good it is, and what it took."
    return Part("course", "Over time steps", lead, joined([tag("div", *drawn, class_="pair"), _table(lines, spikes)]))


def _courses(contents: Contents) -> tuple[Mapping[str, Course], float | None, str]:
    """What was judged by step, by name; the same of the original, and what the axis says."""
    found, precision = contents.evaluation, contents.precision
    if precision is not None and precision.precision_by_step is not None:
        steps = range(1, precision.steps + 1)
        by_step = precision.precision_by_step
        course = [by_step[step].ap50 if step in by_step else None for step in steps]
        return {"mAP@0.5": course}, precision.reference_precision.ap50, "%"
    if found is None:
        return {}, None, ""
    if found.errors is None and found.deviation is None:
        return found.courses, found.reference_accuracy, "%"
    reference = None if found.reference_errors is None else found.reference_errors.relative
    return found.courses, reference, "relative error"


def _judged_figure(
    lines: Mapping[str, Course], intervals: Intervals, reference: float | None, name: str, steps: int
) -> Markup:
    values = [value for course in lines.values() for value in course if value is not None]
    values += [end for interval in intervals.values() for ends in interval for end in ends]
    values += [] if reference is None else [reference]
    x = time_axis(steps)
    y: Axis = linear(values, name, most=100.0) if name == "%" else linear(values, name, zero=True)
    content = [] if reference is None else [level(y, reference, "level")]
    kinds = ("one", "two dashed")
    entries = []
    for kind, (label, course) in zip(kinds, lines.items(), strict=False):
        content.append(band(x, y, _span(intervals.get(label, ())), kind))
        content.append(line(x, y, _points(course), kind))
        entries.append((kind, label))
    if intervals:
        entries.append(("interval", "95 % interval"))
    if reference is not None:
        entries.append(("level", "original network"))
    ends = ", ".join(_end(label, course, intervals.get(label)) for label, course in lines.items())
    told = f" The original is at {reference:.4g}." if reference is not None else ""
    says = f"Over {steps} time steps {ends}.{told}"
    caption = "Where a line still climbs at the end, more time steps help."
    return figure(plot(x, y, content, says), caption, legend(entries))


def _points(course: Course) -> list[tuple[float, float]]:
    return _few([(float(step), value) for step, value in enumerate(course, 1) if value is not None])


def _span(interval: Sequence[tuple[float, float]]) -> list[tuple[float, float, float]]:
    return _few([(float(step), *ends) for step, ends in enumerate(interval, 1)])


def _few(points: list[Point]) -> list[Point]:
    """As many of ``points`` as a line has at most, the last among them."""
    every = -(-len(points) // _POINTS)
    return [point for position, point in enumerate(points) if position % every == 0 or position == len(points) - 1]


def _end(label: str, course: Course, interval: Sequence[tuple[float, float]] | None) -> str:
    """Where a line ends, with its interval there."""
    between = "" if not interval else f" (95 % interval {interval[-1][0]:.4g} to {interval[-1][1]:.4g})"
    return f"{label} ends at {_last(course):.4g}{between}"


def _last(course: Course) -> float:
    return next(value for value in reversed(course) if value is not None)


def _table(lines: Mapping[str, Course], spikes: Sequence[float]) -> Markup:
    """The same as figures, after 1, 2, 4, ... time steps and at the end."""
    steps = [2**power for power in range(20) if 2**power < len(spikes)] + [len(spikes)]
    head = tag("tr", *(tag("th", name, scope="col") for name in ("time steps", *lines, "spikes per neuron")))
    rows = []
    for step in steps:
        judged = [course[step - 1] for course in lines.values()]
        cells = [NOTHING if value is None else decimal(value) for value in (*judged, spikes[step - 1])]
        rows.append(tag("tr", tag("th", str(step), scope="row"), *(tag("td", cell) for cell in cells)))
    table = tag("table", tag("thead", head), tag("tbody", *rows))
    return tag(
        "details",
        tag("summary", "The same as figures"),
        tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Figures by time step"),
    )
