"""The program ``snnconv``: it loads the commands and runs one; nothing but an error of Python ends with a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from snnconv.cli.interruption import interruptible


def main() -> None:
    """Entry point of the command line."""
    with interruptible(_loaded) as run:
        run()


def _loaded() -> Callable[[], None]:
    if os.environ.get("WORLD_SIZE"):  # where a rank is gone torch prints stacks, and our error says it in words
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from snnconv.cli.app import load, run

    load(sys.argv[1:])  # a command loads torch, which takes seconds
    return run
