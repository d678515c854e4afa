"""The part on codes: the values that a window of each code can carry."""

from __future__ import annotations

from coding import Code
from snnconv.plots.code_values import code_levels, levels_text
from snnconv.reporting.charts import SPAN, drawing, mark
from snnconv.reporting.contents import Contents, Part
from snnconv.reporting.markup import Markup, joined, number, tag
from snnconv.reporting.wording import counted
from snnconv.text import code_text

#: Codes that are shown, and values that are drawn of each, at most.
_MOST_CODES, _MOST_VALUES = 12, 512


def levels_part(contents: Contents) -> Part | None:
    """A row of ticks for every code of the network; ``None`` where no code has fixed values."""
    users: dict[Code, list[str]] = {}
    for population in contents.network.populations.values():
        if population.tables is None and population.code.computes is None and population.code.windows:
            users.setdefault(population.code, []).append(population.name)
    if not users:
        return None
    shown = sorted(users.items(), key=lambda item: len(item[1]), reverse=True)[:_MOST_CODES]
    rows = [_row(code, names) for code, names in shown]
    lead = "A window carries one of these values, from 0 to the largest; what lies between is rounded to one of them."
    if len(shown) < len(users):
        lead += f" Shown are the {len(shown)} codes that most populations use, of {len(users)}."
    return Part("levels", "Levels of the codes", lead, joined([*rows, _axis()]))


def _row(code: Code, names: list[str]) -> Markup:
    found = code_levels(code)
    values = found.tolist()
    if len(values) > _MOST_VALUES:
        drawn = tag("rect", x="0", y="0", width=f"{SPAN:.0f}", height=f"{SPAN:.0f}", class_="bar faint")
    else:
        drawn = tag("path", d="".join(f"M{number(SPAN * value, 1)} 0v{SPAN:.0f}" for value in values), class_="tick")
    said = f"{levels_text(found)}, in {counted(len(names), 'population')}"
    return tag(
        "div",
        tag("p", code_text(code), tag("small", said), class_="who"),
        tag("div", drawing(drawn), role="img", aria_label=f"{code_text(code)}: {said}", class_="trains levels"),
        class_="strip",
    )


def _axis() -> Markup:
    ticks = [mark(value, f"{value:g}") for value in (0.0, 0.25, 0.5, 0.75, 1.0)]
    name = tag("span", "in units of the largest", class_="who")
    return tag("div", name, tag("div", *ticks, class_="alongs"), class_="strip feet")
