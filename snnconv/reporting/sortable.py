"""Tables whose heads sort them by their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snnconv.reporting.markup import Markup, tag


@dataclass(frozen=True)
class SortableHead:
    """The head of a column: its name, what that means, whether it holds text, and whether rows come in its order."""

    name: str
    meaning: str = ""
    text: bool = False
    ascending: bool = False


def sortable_table(heads: Sequence[SortableHead], rows: Sequence[Markup], caption: str, says: str) -> Markup:
    """A table of ``rows`` below ``heads``, each of which is a button; ``says`` is what a screen reader calls it."""
    cells = [
        tag(
            "th",
            tag("button", head.name, type="button", title=head.meaning or None),
            scope="col",
            aria_sort="ascending" if head.ascending else None,
            class_="text" if head.text else None,
        )
        for head in heads
    ]
    said = tag("caption", f"{caption} A head sorts by its column.".strip())
    table = tag("table", said, tag("thead", tag("tr", *cells)), tag("tbody", *rows), class_="sortable")
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=says)
