"""The program ``snnconv``: it loads the commands and runs one; nothing but an error of Python ends with a traceback."""

from __future__ import annotations

from collections.abc import Callable

from snnconv.cli.interruption import interruptible


def main() -> None:
    """Entry point of the command line."""
    with interruptible(_loaded) as run:
        run()


def _loaded() -> Callable[[], None]:
    from snnconv.cli.app import run  # loads torch, which takes seconds

    return run
