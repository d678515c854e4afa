"""Results of benchmarks: printed as tables and kept as JSON beside the benchmarks."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent / "results"


def publish(name: str, title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print one table and write it to ``results/name.json``, with what it was measured on."""
    table = Table(title=title)
    for position, column in enumerate(head):
        table.add_column(column, justify="left" if position == 0 else "right")
    for row in rows:
        table.add_row(*(_text(cell) for cell in row))
    Console().print(table)
    FOLDER.mkdir(exist_ok=True)
    content = {
        "title": title,
        "machine": {"cpu": platform.processor() or platform.machine(), "threads": torch.get_num_threads()},
        "torch": torch.__version__,
        "rows": [dict(zip(head, row, strict=True)) for row in rows],
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def _text(cell: Any) -> str:
    if cell is None:
        return "-"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
