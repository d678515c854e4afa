"""Figures as people read them."""

from __future__ import annotations

import math

from snnconv.text import PREFIXES, error_text

_LARGE = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e4))
_SMALL = tuple((prefix, 10.0 ** (3 * power)) for power, prefix in PREFIXES.items() if power <= 0)
#: Whole numbers below it are written out.
_SHORT = 1e5
#: Where three digits round up to the next prefix.
_ROUNDED = 1.0005

#: What stands where there is no figure.
NOTHING = "-"


def percent(value: float | None, digits: int = 1) -> str:
    """A share that is given in percent."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.{digits}f} %"


def share(value: float | None, digits: int = 1) -> str:
    """A share that is given as a part of 1, in percent."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return error_text(value, digits).replace("%", " %")


def joules(value: float) -> str:
    """An energy with three digits and a prefix."""
    prefix, size = next((each for each in _SMALL if abs(value) * _ROUNDED >= each[1]), _SMALL[-1])
    return f"{value / size:.3g} {prefix}J" if value else "0 J"


def count(value: float) -> str:
    """A number of things, mean or whole: exact if it is whole and short, else in three digits."""
    if float(value).is_integer() and abs(value) < _SHORT:
        return f"{value:,.0f}"
    for prefix, least in _LARGE:
        if abs(value) * _ROUNDED >= least:
            return f"{value / (1e3 if prefix == 'k' else least):.3g} {prefix}"
    return f"{value:,.0f}" if abs(value) >= 1e3 else f"{value:.3g}"


def decimal(value: float | None, digits: int = 3) -> str:
    """A figure with a fixed number of decimals."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def counted(number: float, one: str, many: str | None = None) -> str:
    """How many of what: "1 sample", "3 samples"."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def listed(names: list[str], most: int = 3) -> str:
    """Names as a sentence lists them, ``most`` of them."""
    shown = names[:most]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def ratio(found: float, reference: float) -> str:
    """How many times ``reference`` something is."""
    return NOTHING if reference <= 0 else f"{found / reference:.3g} times"


def capital(sentence: str) -> str:
    """``sentence`` with a capital first letter."""
    return sentence[:1].upper() + sentence[1:]
