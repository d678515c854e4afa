"""Charts as SVG that is stretched to the width there is: text stands beside it in HTML and keeps its size.

Coordinates run from 0 to 1,000 both ways. Lines keep their width however the chart is stretched; a dot is a line
without length that has round ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from snnconv.reporting.markup import Content, Markup, joined, number, tag
from snnconv.text import PREFIXES

#: Height and width of a chart in its own coordinates.
SPAN = 1000.0
#: Numbers of ticks that an axis has at most.
_TICKS = 6
#: Share of a logarithmic axis that lies between ticks at least, so that what is written there fits.
_APART = 0.15
#: Share of an axis from which on texts of ticks end with it.
_END = 0.96
#: Digits at which a logarithmic axis has ticks, the more of them the shorter it is.
_FACTORS = ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0))


@dataclass(frozen=True)
class Axis:
    """An axis from ``low`` to ``high``, logarithmic or not, with a name.

    ``ticks`` are values with what is written there.
    """

    low: float
    high: float
    name: str
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where ``value`` lies, from 0 at the low end to 1."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def linear(values: Sequence[float], name: str, *, zero: bool = False, most: float = math.inf) -> Axis:
    """A linear axis that holds ``values`` and ends at round numbers, from 0 if ``zero``, to ``most`` at most."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    if zero:
        low = min(low, 0.0)
    if high - low < 1e-9 * max(abs(high), abs(low)) or high == low:
        room = abs(high) / 10 or 1.0
        low, high = low - (0.0 if zero or high == 0 else room), high + room
    step = _step((high - low) / (_TICKS - 1))
    low, high = math.floor(low / step + 1e-9) * step, min(math.ceil(high / step - 1e-9) * step, most)
    return Axis(low, high, name, _marks(low, high, step))


def time_axis(steps: int, first: int = 1) -> Axis:
    """An axis of time steps, from the ``first`` to ``steps``."""
    step = max(1.0, _step((steps - first) / (_TICKS - 1) or 1.0))
    return Axis(float(first), float(max(steps, first + 1)), "time step", _marks(float(first), float(steps), step))


def _marks(low: float, high: float, step: float) -> tuple[tuple[float, str], ...]:
    """Multiples of ``step`` from ``low`` to ``high``, with as many decimals as it takes to tell them apart."""
    places = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return tuple(
        (place * step, f"{place * step:,.{digits}f}" if digits < 6 else f"{place * step:.3g}") for place in places
    )


def logarithmic(values: Sequence[float], name: str, unit: str = "") -> Axis:
    """A logarithmic axis that holds ``values``, all above 0, with some room; ``unit`` takes a prefix."""
    low, high = min(values) / 1.3, max(values) * 1.3
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    exponents = range(first, last + 1, max(1, -(-(last - first) // _TICKS)))
    marks: list[float] = []
    for factors in _FACTORS:
        marks = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        marks = [mark for mark in marks if low <= mark <= high]
        if len(marks) > 2:
            break
    axis = Axis(low, high, name, (), logarithmic=True)
    kept: list[float] = []
    for place in marks:
        if not kept or axis.share(place) - axis.share(kept[-1]) >= _APART:
            kept.append(place)
    return replace(axis, ticks=tuple((place, _prefixed(place, unit)) for place in kept))


def _prefixed(value: float, unit: str) -> str:
    """``value`` in steps of a thousand."""
    exponent = math.floor(math.log10(value) / 3 + 1e-9)
    prefix = PREFIXES.get(exponent)
    if prefix is None or (not unit and -2 <= exponent <= 0):
        return f"{value:g} {unit}".strip()
    return f"{value / 10.0 ** (3 * exponent):g} {prefix}{unit}".strip()


def _step(raw: float) -> float:
    """The next of 1, 2, 5, 10, ... from ``raw`` on."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * (1 - 1e-9))


def x_of(scale: Axis, value: float) -> str:
    """The coordinate of ``value`` on an axis to the right."""
    return number(SPAN * scale.share(value), 1)


def y_of(scale: Axis, value: float) -> str:
    """The coordinate of ``value`` on an axis upwards."""
    return number(SPAN * (1.0 - scale.share(value)), 1)


def line(x: Axis, y: Axis, points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """Points joined by a line."""
    path = "L".join(f"{x_of(x, a)} {y_of(y, b)}" for a, b in points)
    return tag("path", d=f"M{path}", class_=f"line {class_}") if points else Markup()


def band(x: Axis, y: Axis, points: Sequence[tuple[float, float, float]], class_: str) -> Markup:
    """What lies between a low and a high value at every place: ``points`` are places with both."""
    there = [f"{x_of(x, place)} {y_of(y, low)}" for place, low, _ in points]
    back = [f"{x_of(x, place)} {y_of(y, high)}" for place, _, high in reversed(points)]
    return tag("path", d=f"M{'L'.join(there + back)}Z", class_=f"band {class_}") if points else Markup()


def dot(x: Axis, y: Axis, point: tuple[float, float], class_: str, title: str) -> Markup:
    """A round dot that says its ``title`` to who points at it."""
    place = f"M{x_of(x, point[0])} {y_of(y, point[1])}h0"
    return tag("path", tag("title", title), d=place, class_=f"dot {class_}")


def level(y: Axis, value: float, class_: str) -> Markup:
    """A line at the height of ``value`` from end to end."""
    return tag("path", d=f"M0 {y_of(y, value)}h{SPAN:.0f}", class_=f"line {class_}")


def drawing(*content: Content, class_: str = "", height: float = SPAN) -> Markup:
    """An SVG of our coordinates that fills what it stands in; who holds it says what it shows."""
    return tag(
        "svg",
        *content,
        viewBox=f"0 0 {SPAN:.0f} {number(height)}",
        preserveAspectRatio="none",
        class_=class_ or None,
        aria_hidden="true",
        focusable="false",
    )


def plot(x: Axis, y: Axis, content: Sequence[Content], says: str, class_: str = "") -> Markup:
    """A chart with its axes; ``says`` is what it shows, for who cannot see it."""
    grid = [tag("path", d=f"M0 {y_of(y, value)}h{SPAN:.0f}", class_="grid") for value, _ in y.ticks]
    ups = [tag("span", text, style=f"bottom:{number(100 * y.share(value), 1)}%") for value, text in y.ticks]
    alongs = [mark(x.share(value), text) for value, text in x.ticks]
    return tag(
        "div",
        tag("p", y.name, class_="axis-name", aria_hidden="true"),
        tag("div", *ups, class_="ups", aria_hidden="true"),
        tag("div", drawing(*grid, *content), class_="area"),
        tag("div", *alongs, class_="alongs", aria_hidden="true"),
        tag("p", x.name, class_="axis-name along", aria_hidden="true"),
        class_=f"plot {class_}".strip(),
        role="img",
        aria_label=says,
    )


def mark(share: float, text: str) -> Markup:
    """The ``text`` of a tick below a chart; at its end it stays within."""
    if share > _END:
        return tag("span", text, class_="end")
    return tag("span", text, style=f"left:{number(100 * share, 1)}%")


def legend(entries: Sequence[tuple[str, str]]) -> Markup:
    """What lines and colours stand for: classes with names."""
    items = [tag("li", tag("span", class_=f"key {class_}", aria_hidden="true"), name) for class_, name in entries]
    return tag("ul", *items, class_="legend")


def figure(drawn: Content, caption: Content, *before: Content, class_: str | None = None) -> Markup:
    """What is drawn with what it shows below it; controls and legends come ``before`` it."""
    below = tag("figcaption", caption) if caption else None
    return tag("figure", joined(before), drawn, below, class_=class_)
