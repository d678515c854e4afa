"""``python -m tests.fuzz KIND`` looks for what breaks a promise, as long as it is told, and goes on where it was."""

from __future__ import annotations

import importlib
import logging
import sys

#: What is tried, each a module with ``main(arguments) -> int``, which returns 1 where a promise was broken.
KINDS = ("networks", "transformers", "files", "kills", "worker_kills", "soak")


def main(arguments: list[str]) -> int:
    """Run one kind with the arguments behind its name."""
    if not arguments or arguments[0] not in KINDS:
        options = "[--seconds N] [--seed S] [--results FILE]"
        print(f"usage: python -m tests.fuzz {{{'|'.join(KINDS)}}} {options}", file=sys.stderr)
        return 2
    found: int = importlib.import_module(f"tests.fuzz.{arguments[0]}").main(arguments[1:])
    return found


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # what random networks are warned of is no fault
    sys.exit(main(sys.argv[1:]))
