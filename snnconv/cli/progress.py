"""Progress bars of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich import progress as rich_progress
from rich.console import Console

from snnconv.progress import Progress, ProgressCallback, told

Item = TypeVar("Item")


@contextmanager
def progress_bars(console: Console) -> Iterator[ProgressCallback | None]:
    """A callback that shows a bar for every task until it is done; ``None`` where the output is no terminal."""
    if not console.is_terminal:
        yield None
        return
    tasks: dict[str, rich_progress.TaskID] = {}
    with rich_progress.Progress(console=console, transient=True) as bars:

        def show(found: Progress) -> None:
            if found.what not in tasks:
                tasks[found.what] = bars.add_task(found.what, total=found.total)
            bars.update(tasks[found.what], completed=found.done, total=found.total)
            if found.done == found.total:
                bars.remove_task(tasks.pop(found.what))

        yield show


def items_with_progress(console: Console, items: Sequence[Item], what: str) -> Iterator[Item]:
    """``items`` one by one under a bar named ``what``."""
    with progress_bars(console) as progress:
        yield from told(progress, what, items, len(items))
