"""Text and numbers as LaTeX and Markdown write them, so that nothing in them is taken for a command."""

from __future__ import annotations

import re

#: What LaTeX reads as a command or a ligature, what may follow a line's end as an argument, and how to say it.
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "-": "{-}",
    **{each: f"{{{each}}}" for each in "[]*"},
    **{each: f"\\{each}" for each in "{}$&#_%"},
}
_MARKDOWN = re.compile(r"[\\`*_<&\[\]|~$]")
_NUMBER = re.compile(r"([+-]?)([\d.]+)(?:e([+-]\d+))?(%?)")


def latex_text(text: str) -> str:
    """``text`` in one line of LaTeX."""
    kept = re.sub(r"(?<!-)-(?!-)", "\0", _one_line(text))  # a single hyphen is what it looks like
    return "".join(_LATEX.get(each, each) for each in kept).replace("\0", "-")


def latex_number(text: str) -> str:
    """A formatted number: powers of ten and signs in mathematics, percent signs escaped."""
    found = _NUMBER.fullmatch(text)
    if found is None:  # infinity
        return latex_text(text)
    sign, digits, exponent, percent = found.groups()
    power = "" if exponent is None else rf" \times 10^{{{int(exponent)}}}"
    number = f"${sign}{digits}{power}$" if sign or power else digits
    return number + percent.replace("%", r"\%")


def markdown_text(text: str) -> str:
    """``text`` in one cell of Markdown."""
    return _MARKDOWN.sub(r"\\\g<0>", _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
