"""Results of benchmarks: printed as tables and kept as JSON beside the benchmarks."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.origin import origin

FOLDER = Path(__file__).parent / "results"
#: Columns of a table that is printed to a file.
WIDTH = 200
#: Heads of the cells of ``accuracy_cells``.
ACCURACY_HEAD = ("ANN %", "SNN %", "loss", "standard error")


def publish(name: str, title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print one table and write it to ``results/name.json``, with what it was measured on."""
    table = Table(title=title, caption=", ".join(f"{name} {value}" for name, value in origin().items()))
    for position, column in enumerate(head):
        table.add_column(column, justify="left" if position == 0 else "right")
    for row in rows:
        table.add_row(*(text(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    keep(name, title, head, rows)


def keep(name: str, title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table to ``results/name.json``; tables that grow slowly do so row by row."""
    FOLDER.mkdir(exist_ok=True)
    content = {
        "title": title,
        **origin(),
        "rows": [dict(zip(head, row, strict=True)) for row in rows],
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def note(text: str) -> None:
    """Say on the error stream what has been measured so far, or left out."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def accuracy_cells(reference: float, accuracy: float, samples: int) -> list[float]:
    """Percentages of the original and of the spiking network, the loss, and the standard error of the accuracy."""
    error = (accuracy * (100 - accuracy) / samples) ** 0.5
    return [round(value, 2) for value in (reference, accuracy, reference - accuracy, error)]


def text(cell: Any) -> str:
    """How a cell of a table is printed."""
    if cell is None:
        return "-"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
