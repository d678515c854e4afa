"""An interruption at a step, as by Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable

from snnconv.progress import Progress


def stopped_at(step: int, what: str = "training") -> Callable[[Progress], None]:
    """A callback that interrupts ``what`` before ``step``."""

    def progress(found: Progress) -> None:
        if (found.what, found.done) == (what, step):
            raise KeyboardInterrupt

    return progress
