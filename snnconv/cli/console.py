"""Where the command line writes: figures and reports to standard output, what went wrong to standard error."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from snnconv.cli.interruption import output_closed


class _Output(Console):
    """Standard output, whose end by its reader interrupts the command."""

    def on_broken_pipe(self) -> None:
        discard_output()
        raise output_closed()


class _Errors(Console):
    """Standard error; without a reader the command goes on in silence."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def discard_output() -> None:
    """Let nobody take what standard output is given from now on, and what Python still holds of it at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # where there is no standard output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_first() -> bool:
    """Whether this process is alone, or the first of those that torchrun has started, which speaks and writes."""
    return os.environ.get("RANK", "") in ("", "0")


def told_by() -> str:
    """What a line on standard error begins with where several processes write such lines: which one this is."""
    return "" if os.environ.get("WORLD_SIZE", "") in ("", "1") else f"rank {os.environ.get('RANK', '?')}: "


console = _Output(soft_wrap=True, highlight=False, quiet=not is_first())
errors = _Errors(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def quiet_if(asked: bool) -> Iterator[None]:
    """Let ``console`` print nothing as long as this lasts, if ``asked``; warnings and errors are told even so."""
    before = console.quiet
    console.quiet = before or asked
    try:
        yield
    finally:
        console.quiet = before


@contextmanager
def warnings_told() -> Iterator[None]:
    """Print what is logged as a warning, or as worse, on standard error, above bars of progress."""
    handler = _Warning(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


class _Warning(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        errors.print(f"{told_by()}{record.levelname.lower()}: {record.getMessage()}", style="yellow", markup=False)
