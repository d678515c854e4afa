"""HTML and SVG as text in which everything that is no markup is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable

#: Elements that hold nothing and have no end.
_VOID = {"br", "input", "link", "meta"}


class Markup(str):
    """Text that is markup already, and is not escaped again."""

    __slots__ = ()


#: What an element may hold: markup as it is, other text escaped, and nothing.
Content = str | None


def escaped(text: Content) -> Markup:
    """``text`` as markup."""
    if text is None:
        return Markup()
    return text if isinstance(text, Markup) else Markup(html.escape(text))


def joined(parts: Iterable[Content], between: str = "") -> Markup:
    """``parts`` one after the other."""
    return Markup(between.join(escaped(part) for part in parts if part))


def tag(name: str, /, *content: Content, **attributes: str | float | bool | None) -> Markup:
    """The element ``name`` around ``content``.

    An underscore in the name of an attribute stands for a hyphen, and one at its end for nothing (``class_``). ``True``
    is an attribute without a value, ``False`` and ``None`` are none.
    """
    said = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        text = number(value) if isinstance(value, float) else str(value)
        said.append(f" {attribute}" if value is True else f' {attribute}="{html.escape(text)}"')
    begin = f"<{name}{''.join(said)}>"
    return Markup(begin if name in _VOID else f"{begin}{joined(content)}</{name}>")


def number(value: float, digits: int = 2) -> str:
    """A number as short as coordinates may be."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"
    return "0" if text in ("-0", "") else text
