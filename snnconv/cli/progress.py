"""How far the work of a command is, on standard error, so that results on standard output stay by themselves."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich import progress as rich_progress

from snnconv.cli.console import console, errors
from snnconv.progress import Progress, ProgressCallback, told
from snnconv.text import duration_text

Item = TypeVar("Item")

#: Seconds between two lines where there is no terminal to draw bars on; what takes less says nothing.
_LINE_SECONDS = 30.0
#: One part in so many is done before a line says how long the rest takes: first layers are the largest.
_TOLD_FROM = 20


@contextmanager
def progress_bars() -> Iterator[ProgressCallback]:
    """A callback that shows a bar, with the time that is left, for every task until it is done.

    Where standard error is no terminal it writes a line now and then. Where nothing is printed nothing is shown: of
    several processes the first alone shows it.
    """
    if console.quiet:
        yield lambda _: None
    elif errors.is_terminal:
        with _bars() as show:
            yield show
    else:
        yield ProgressLines(lambda line: errors.print(line, markup=False))


@contextmanager
def _bars() -> Iterator[ProgressCallback]:
    tasks: dict[str, rich_progress.TaskID] = {}
    columns = (
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeRemainingColumn(),
    )
    # What a model prints belongs to standard output; it is taken through the bars only where both are one terminal.
    with rich_progress.Progress(
        *columns, console=errors, transient=True, redirect_stdout=console.is_terminal
    ) as progress:

        def show(found: Progress) -> None:
            if found.what not in tasks:
                tasks[found.what] = progress.add_task(found.what, total=found.total)
            progress.update(tasks[found.what], completed=found.done, total=found.total)
            if found.done == found.total:
                progress.remove_task(tasks.pop(found.what))

        yield show


@contextmanager
def search_announced() -> Iterator[None]:
    """Say on standard error what a search for codes will cost, as the library logs it; ``console.warnings_told``."""
    level = logging.WARNING if console.quiet else logging.INFO
    logger, handler = logging.getLogger("snnconv.search"), _Announcement(level)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


class _Announcement(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:  # those above are told by every command
            errors.print(record.getMessage(), markup=False)


class ProgressLines:
    """A callback that gives ``write`` a line on the task at hand at most once in half a minute, by ``clock``."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._last = clock()
        self._begun: dict[str, tuple[float, int]] = {}

    def __call__(self, found: Progress) -> None:
        now = self._clock()
        start, first = self._begun.setdefault(found.what, (now, found.done))
        if now - self._last < _LINE_SECONDS or found.done == found.total:
            return
        self._last = now
        line = f"{found.what}: {found.done}" + ("" if found.total is None else f" of {found.total}")
        if found.total is not None and _TOLD_FROM * (found.done - first) >= found.total - first:
            left = (now - start) / (found.done - first) * (found.total - found.done)
            line += f", about {duration_text(left)} left"
        self._write(line)


def items_with_progress(items: Sequence[Item], what: str) -> Iterator[Item]:
    """``items`` one by one under a bar named ``what``."""
    with progress_bars() as progress:
        yield from told(progress, what, items, len(items))
