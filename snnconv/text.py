"""Text for people: tables, and codes with their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from coding import Code

#: Prefixes of units, by the power of a thousand that they stand for, from the largest.
PREFIXES = {3: "G", 2: "M", 1: "k", 0: "", -1: "m", -2: "µ", -3: "n", -4: "p", -5: "f"}
#: Digits behind the point that tell any two figures apart that differ by more than rounding.
_MOST_DIGITS = 12
#: The largest relative error that is written and drawn in full.
MOST_ERROR = 10.0


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under a head, the first column flush left and the others flush right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    )


def code_text(code: Code) -> str:
    """A code with its parameters, short enough for a table."""
    values = (getattr(code, field.name) for field in fields(code))
    values = (f"{len(value)} levels" if isinstance(value, tuple) else value for value in values)
    shown = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in values if value is not None)
    return f"{code.name}({', '.join(shown)})"


def at_most(figure: str, is_bound: bool) -> str:
    """``figure``, and that it is at most so large where it is an upper bound."""
    return f"at most {figure}" if is_bound else figure


def told_from(value: float, limit: float, digits: int = 1) -> str:
    """``value`` with so many ``digits`` behind the point, or the fewest more that leave it on its side of ``limit``."""
    while value != limit and digits < _MOST_DIGITS:
        told = float(f"{value:.{digits}f}")
        if told != limit and (told > limit) == (value > limit):
            break
        digits += 1
    return f"{value:.{digits}f}"


def error_text(share: float, digits: int = 2) -> str:
    """A relative error in percent; of next to nothing anything is very much, and over 1,000 % no figure tells more."""
    if abs(share) <= MOST_ERROR:
        return f"{share:.{digits}%}"
    return f"{'below -' if share < 0 else 'over '}{MOST_ERROR:,.0%}"


def duration_text(seconds: float) -> str:
    """A duration as people say it: "8 s", "3 min", "2 h 10 min"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 0.95 else f"{seconds:.1g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
