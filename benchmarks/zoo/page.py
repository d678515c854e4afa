"""The page docs/zoo.md: the only store of the zoo's rows, read back so that a run adds to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from benchmarks.zoo.measuring import CODES, Row

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"
#: Relative error in percent, in the first code, within which a model counts as converted well.
GOOD = 2.0
HEAD = (
    *("model", "verdict", "populations", *CODES),
    *("of what differs", "agreement %", "seconds", "MiB", "reason or warning"),
)
_VERDICT, _ERROR = HEAD.index("verdict"), HEAD.index(next(iter(CODES)))

#: Rows of the page as they are printed, by "library/model".
Rows = dict[str, tuple[str, ...]]


def cells(row: Row) -> tuple[str, ...]:
    """``row`` as it is printed, one text for each column of ``HEAD``."""
    numbers: list[object] = [None] * (len(HEAD) - 3)
    if row.errors:
        agreement = row.agreement[next(iter(CODES))]
        shares = [*(row.errors[code] for code in CODES), row.differing, agreement]
        numbers = [row.populations, *map(_percent, shares), round(row.seconds, 1), round(row.mebibytes)]
    said = (row.reasons or row.warnings).replace("\n", " ")
    return tuple("" if cell is None else str(cell) for cell in (row.name, row.verdict, *numbers, said))


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def read() -> Rows:
    """The rows that the page holds; none where there is no page."""
    found: Rows = {}
    library = ""
    for line in PAGE.read_text().splitlines() if PAGE.exists() else ():
        if line.startswith("## "):
            library = re.sub(r" \d\S*$", "", line.removeprefix("## "))
        elif line.startswith("| ") and not line.startswith(("| model ", "| --- ")):
            row = tuple(cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|", len(HEAD) - 1))
            found[f"{library}/{row[0]}"] = row
    return found


def write(rows: Mapping[str, Sequence[str]], left: Sequence[str]) -> None:
    """Write the page of ``rows``, a table for each library; ``left`` are the keys of what was not measured."""
    accepted = [row for row in rows.values() if row[_VERDICT] == "accepted"]
    errors = [float(row[_ERROR]) for row in accepted]
    lines = [
        "# Zoo",
        "",
        "Models of other libraries, unchanged, with the random weights that they are built with (MTCNN with its own).",
        "Calibrated with 64 ImageNet pictures, measured on 32 others: relative error of the whole output in percent,",
        "by code (default is what `convert` chooses: few-spike code of 8 steps, and where there are smooth functions",
        "or products, a code for each population), and for the first code relative to what differs from picture to",
        "picture alone. Where a name says",
        "adapted, and in the networks of papers, batch norms hold statistics of the pictures: random layers that",
        "centre what they get multiply any small difference. Written by `python -m benchmarks zoo`, which measures",
        "what the page lacks (`--rows PATTERN` measures rows anew); what it needs beside this project is in",
        "`benchmarks/requirements-zoo.txt`.",
        "",
        f"{len(accepted)} of {len(rows)} accepted"
        + (
            f"; {sum(error <= GOOD for error in errors)} of these within {GOOD:g} % in {HEAD[_ERROR]}, "
            f"median {median(errors):.2f} %."
            if errors
            else "."
        ),
    ]
    if left:
        lines += ["", f"Not measured: {', '.join(left)}."]
    for library in dict.fromkeys(key.split("/")[0] for key in rows):
        lines += ["", f"## {library}{_version(library)}", "", _line(HEAD)]
        lines.append(_line(["---", "---", *["---:"] * (len(HEAD) - 3), "---"]))
        lines += [_line(row) for key, row in rows.items() if key.split("/")[0] == library]
    PAGE.write_text("\n".join(lines) + "\n")


def _version(library: str) -> str:
    try:
        return f" {version(library.split()[0])}"
    except PackageNotFoundError:
        return ""


def _line(row: Iterable[str]) -> str:
    return "| " + " | ".join(row) + " |"
