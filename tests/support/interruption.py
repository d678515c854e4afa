"""An interruption at a step of training, as by Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator


def stopped_at(step: int) -> Callable[[range], Iterator[int]]:
    """A progress bar under which training is interrupted before ``step``."""

    def progress(steps: range) -> Iterator[int]:
        for number in steps:
            if number == step:
                raise KeyboardInterrupt
            yield number

    return progress
