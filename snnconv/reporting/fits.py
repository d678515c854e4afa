"""The part on an export: what the network takes of the machine that it was written for, and what that loses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from snnconv.reporting.contents import Contents, Part
from snnconv.reporting.markup import Markup, joined, tag
from snnconv.reporting.sortable import SortableHead, sortable_table
from snnconv.reporting.wording import NOTHING, count, percent, share

#: Rows of the table at most.
_MOST_ROWS = 200
#: What figures of exports are called, in the order in which they are shown.
_TOTALS = {
    "ram": ("RAM", "bytes"),
    "flash": ("constant tables", "bytes"),
    "steps": ("latency", "time steps"),
    "additions": ("additions", "per sample"),
    "updates": ("updates of neurons", "per sample"),
}
#: Heads of columns that are not called what exports call them.
_HEADS = {
    "ram": "RAM (bytes)",
    "flash": "constant tables (bytes)",
    "memory": "memory (bytes)",
    "where": "runs on",
    "built_in": "built into the chip",
}
#: Lists of what the network is made of, by what exports call them.
_LISTS = ("placements", "parts", "layers")


def fit_part(contents: Contents) -> Part | None:
    """Totals, fidelity, notes and a table of parts; ``None`` without an export."""
    export = contents.export
    if not export:
        return None
    lead = "What the network takes of the machine that it was exported for, and what is lost on the way."
    return Part(
        "export",
        "Fit of the export",
        lead,
        joined([_totals(export), _fidelity(export), _table(export), _notes(export)]),
    )


def _totals(export: Mapping[str, Any]) -> Markup:
    items = []
    cores = export.get("cores")
    if isinstance(cores, Mapping):
        fewest, most = _figure(cores.get("fewest")), _figure(cores.get("most"))
        value = _text(fewest) if fewest == most else f"{_text(fewest)} to {_text(most)}"
        items.append(_item("cores", value, str(cores.get("fit", ""))))
    for name, (label, unit) in _TOTALS.items():
        if _figure(export.get(name)) is not None:
            items.append(_item(label, _text(export[name]), unit))
    return tag("dl", *items, class_="figures") if items else Markup()


def _item(label: str, value: str, more: str) -> Markup:
    return tag("div", tag("dt", label), tag("dd", tag("strong", value), tag("small", more)))


def _figure(value: Any) -> float | None:
    """``value`` if it is a number."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _text(value: float | None) -> str:
    return NOTHING if value is None or not math.isfinite(value) else count(value)


def _fidelity(export: Mapping[str, Any]) -> Markup:
    found = export.get("fidelity")
    if not isinstance(found, Mapping) or not found:
        return Markup()
    names = ("network", "output error", "decisions as the original", "samples")
    rows = []
    for label, figures in found.items():
        if not isinstance(figures, Mapping):
            continue
        error, agreement, samples = (_figure(figures.get(name)) for name in ("error", "agreement", "samples"))
        cells = (share(error, 2), percent(agreement), _text(samples))
        rows.append(tag("tr", tag("th", str(label), scope="row"), *(tag("td", cell) for cell in cells)))
    heads = tag("tr", *(tag("th", name, scope="col", class_="text" if name == names[0] else None) for name in names))
    table = tag("table", tag("thead", heads), tag("tbody", *rows))
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Fidelity of the export")


def _table(export: Mapping[str, Any]) -> Markup:
    lists = [export[name] for name in _LISTS if isinstance(export.get(name), (list, tuple))]
    rows = [part for part in lists[0] if isinstance(part, Mapping)] if lists else []
    if not rows:
        return Markup()
    names = [name for name, value in rows[0].items() if not isinstance(value, (Mapping, list, tuple))]
    heads = [
        SortableHead(_HEADS.get(name, name.replace("_", " ")), text=isinstance(rows[0].get(name), str))
        for name in names
    ]
    lines = []
    for row in rows[:_MOST_ROWS]:
        cells = [_cell(row.get(name), first=position == 0) for position, name in enumerate(names)]
        lines.append(tag("tr", *cells))
    left = len(rows) - len(lines)
    caption = f"{left:,} further rows are left out." if left else ""
    return sortable_table(heads, lines, caption, "Parts of the export")


def _cell(value: Any, first: bool) -> Markup:
    if first:
        return tag("th", str(value), scope="row")
    if isinstance(value, bool):
        return tag("td", "yes" if value else "no")
    if isinstance(value, (int, float)):
        return tag("td", _text(value), data_value=f"{value:.6g}" if math.isfinite(value) else None)
    return tag("td", NOTHING if value is None else str(value), class_=None if value is None else "text")


def _notes(export: Mapping[str, Any]) -> Markup:
    notes = export.get("notes")
    if not isinstance(notes, (list, tuple)):
        return Markup()
    return tag("ul", *(tag("li", str(note)) for note in notes), class_="notes") if notes else Markup()
