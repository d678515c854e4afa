"""Mutants of texts: other numbers, words and lines, so that a reader goes on behind its first check."""

from __future__ import annotations

import re
from random import Random

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_WORD = re.compile(r"\w+")
#: What numbers are replaced by.
# fmt: off
NUMBERS = (
    "0", "1", "-1", "2", "7", "255", "256", "65536", "1000000", "2147483647", "2147483648", "-2147483648",
    "9223372036854775808", "1e308", "-1e308", "1e999", "1e-320", "nan", "inf", "-inf", "0.5", "-0.0", "00", "1_000",
    "0x10", "\u0661", "\u00b2", "+", ".",
)
# fmt: on
_ODD = ("", " ", "\0", "\t", "\u00e9", "\u2028", "\ufeff", "%s", "../", "\\", '"', "<", "&", "[", "]", "{", "}", "=")


def altered_text(content: bytes, random: Random) -> bytes:
    """``content``, a text in UTF-8, after one to three alterations."""
    text = content.decode("utf-8", "surrogateescape")
    for _ in range(random.choice((1, 1, 2, 3))):
        text = random.choice(_ALTERATIONS)(text, random)
    return text.encode("utf-8", "surrogateescape")


def _replaced(text: str, pattern: re.Pattern[str], other: str, random: Random) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text + other
    match = random.choice(found)
    return text[: match.start()] + other + text[match.end() :]


def _number(text: str, random: Random) -> str:
    return _replaced(text, _NUMBER, random.choice(NUMBERS), random)


def _nearby(text: str, random: Random) -> str:
    found = list(_NUMBER.finditer(text))
    if not found:
        return text
    match = random.choice(found)
    value = float(match[0]) * random.choice((-1, 2, 10, 0.1, 1000)) + random.choice((-1, 0, 1))
    return text[: match.start()] + (str(int(value)) if "." not in match[0] else str(value)) + text[match.end() :]


def _word(text: str, random: Random) -> str:
    return _replaced(text, _WORD, random.choice(_WORD.findall(text) or [""]), random)


def _odd(text: str, random: Random) -> str:
    at = random.randint(0, len(text))
    return text[:at] + random.choice(_ODD) * random.choice((1, 1, 1, 500)) + text[at + random.choice((0, 1)) :]


def _lines(text: str, random: Random) -> str:
    lines = text.split("\n")
    at, to = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(to, lines[at])
    elif kind == 2:
        lines[at], lines[to] = lines[to], lines[at]
    elif kind == 3:
        lines[at] = lines[at] * 300
    else:
        lines[at:at] = [lines[at]] * 1000
    return "\n".join(lines)


def _ends(text: str, random: Random) -> str:
    return text[: random.randint(0, len(text))] if random.random() < 0.5 else text.replace("\n", "\r\n")


_ALTERATIONS = (_number, _number, _nearby, _nearby, _word, _odd, _lines, _lines, _ends)
