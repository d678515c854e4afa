"""What ``make bench`` published last, on which machine, with its picture: a part of the page docs/benchmarks.md."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.origin import commit, machine
from benchmarks.results import text

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PICTURE = "speed.png"
#: The lines of the page between which the part stands.
BEGIN, END = "<!-- written by make bench, from here -->", "<!-- to here -->"

#: The head of a table, and its rows.
Table = tuple[Sequence[str], Sequence[Sequence[Any]]]


def write_page(picture: Path, tables: Mapping[str, Table], page: Path = PAGE) -> None:
    """Put the tables, by their titles, in place of the last ones, and a copy of ``picture`` beside the ``page``."""
    before, _, rest = page.read_text().partition(f"{BEGIN}\n")
    _, _, behind = rest.partition(f"{END}\n")
    shutil.copyfile(picture, page.parent / PICTURE)
    lines = [
        f"{machine()}, {os.cpu_count()} processors; torch {torch.__version__}; commit {commit()}.",
        "",
        f"![What everything costs, in passes of the original in its fastest form]({PICTURE})",
    ]
    for title, (head, rows) in tables.items():
        lines += ["", f"{title}:", "", _line(head), _line(["---", *["---:"] * (len(head) - 1)])]
        lines += [_line([text(cell) for cell in row]) for row in rows]
    page.write_text("\n".join([f"{before}{BEGIN}", "", *lines, "", f"{END}\n{behind}"]))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
