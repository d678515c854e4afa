"""What a network keeps over its time steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snnconv.errors import ConfigurationError
from snnconv.metrics.evaluation_result import Evaluation
from snnconv.plots.axes import COLOURS, MARKERS, legend_above, new_axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Steps from which on the axis is logarithmic, so that the first ones can be seen.
_MANY_STEPS = 16


@dataclass(frozen=True)
class _Course:
    """What is drawn of an evaluation: percentages by step, or one at the end of a pipeline, and their intervals."""

    title: str
    steps: Sequence[int]
    values: Sequence[float]
    intervals: Sequence[tuple[float, float]] | None
    original: float | None


def accuracy_over_steps(evaluation: Evaluation | Mapping[str, Evaluation], axes: Axes | None = None) -> Axes:
    """Accuracy after every time step, with its 95 % interval, and a dashed line at that of the original network.

    A pipeline has no output before its last step: it is a point, with a bar for the interval. Without targets the share
    of decisions as the original's is drawn; for values the deviation, or the error against targets, with no interval.

    Args:
        evaluation: What ``snnconv.evaluate`` gave, or several, by label.
        axes: What to draw on; a new figure of a column's width if not given.

    Returns:
        The axes.

    Raises:
        ConfigurationError: There is no evaluation, or some are judged otherwise than others; no matplotlib.

    Example:
        >>> axes = plots.accuracy_over_steps(snnconv.evaluate(stream, (images, labels), reference=model))
        >>> axes.figure.savefig("accuracy.pdf")
    """
    labelled = evaluation if isinstance(evaluation, Mapping) else {"": evaluation}
    courses = {label: _course(each) for label, each in labelled.items()}
    titles = {course.title for course in courses.values()}
    if len(titles) != 1:
        found = " and ".join(sorted(titles)) or "nothing"
        raise ConfigurationError(f"evaluations must be given that are judged alike, got {found}")
    axes = new_axes()[0] if axes is None else axes
    from matplotlib.ticker import MaxNLocator  # once new_axes has said what is missing

    for number, (label, course) in enumerate(courses.items()):
        colour, name = COLOURS[number % len(COLOURS)], label or "spiking"
        if len(course.steps) > 1:
            axes.plot(course.steps, course.values, color=colour, linewidth=1.4, label=name)
            if course.intervals is not None:
                lows, highs = zip(*course.intervals, strict=True)
                axes.fill_between(course.steps, lows, highs, color=colour, alpha=0.2, linewidth=0.0)
        else:
            marker = MARKERS[number % len(MARKERS)]
            axes.plot(course.steps, course.values, marker, color=colour, markersize=4.5, label=name)
            if course.intervals is not None:
                lows, highs = zip(*course.intervals, strict=True)
                axes.vlines(course.steps, lows, highs, colors=colour, linewidth=1.2)
    _originals(axes, courses)
    last = max(course.steps[-1] for course in courses.values())
    if last > _MANY_STEPS and any(len(course.steps) > 1 for course in courses.values()):
        _doubling(axes, last)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no step 1.5
    axes.set(xlabel="time steps", ylabel=next(iter(titles)))
    axes.margins(x=0.03)
    plain(axes)
    if axes.get_legend_handles_labels()[0]:
        legend_above(axes)
    return axes


def _course(found: Evaluation) -> _Course:
    if not found.courses:
        raise ConfigurationError(
            "the evaluation has neither targets nor an original network, or all targets are 0: nothing can be drawn"
        )
    original: float | None = None
    title, values = next(iter(found.courses.items()))
    intervals = found.intervals.get(title)
    if title == "accuracy":
        original = found.reference_accuracy
    elif title == "agreement":
        title = "decides as the original"
    else:
        values = _percent(values)
    known = [math.nan if value is None else value for value in values]
    steps = range(1, len(known) + 1) if len(known) > 1 else [found.steps]
    return _Course(f"{title} (%)", steps, known, intervals, original)


def _percent(shares: Sequence[float | None]) -> list[float | None]:
    return [None if share is None else 100.0 * share for share in shares]


def _originals(axes: Axes, courses: Mapping[str, _Course]) -> None:
    """A line for every original network, in black if it is that of all."""
    known = {label: course.original for label, course in courses.items() if course.original is not None}
    if len(set(known.values())) == 1:
        known = {"": next(iter(known.values()))}
    for label, value in known.items():
        colour = COLOURS[[*courses].index(label) % len(COLOURS)] if label else "black"
        name = f"original of {label}" if label else "original"
        axes.axhline(value, color=colour, linestyle="--", linewidth=0.9, zorder=1, label=f"{name}, {value:.1f} %")


def _doubling(axes: Axes, last: int) -> None:
    """A logarithmic axis with a label at 1, 2, 4 and so on."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log", base=2)
    marks = [2**power for power in range(last.bit_length())]
    marks = marks[:: 1 + len(marks) // 9]
    axes.set_xticks(marks, [str(mark) for mark in marks])
    axes.xaxis.set_minor_locator(NullLocator())
