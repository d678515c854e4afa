"""Interruptions of a command: one line that says what was kept, a status that says why it ended, and no traceback.

Only the standard library is imported here, so that this holds while the rest is being loaded, which takes seconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

#: Signals that end a command, by name, because not every system has all: from the keyboard, by a scheduler, with the
#: terminal.
_SIGNALS = {"SIGINT": "interrupted", "SIGTERM": "ended by SIGTERM", "SIGHUP": "ended by SIGHUP"}
_NOTHING = "no result is kept; the same command begins anew"


class Interrupted(BaseException):
    """A command was ended from outside: why, its exit status, and what was kept if a part of the command says so."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.why, self.status, self.kept = why, status, ""

    def __str__(self) -> str:
        return f"{self.why}: {self.kept or _NOTHING}"


@contextmanager
def kept(said: Callable[[], str]) -> Iterator[None]:
    """What is interrupted in here says what ``said`` makes, of what was kept and how to go on, unless a part did."""
    try:
        yield
    except Interrupted as found:
        found.kept = found.kept or said()
        raise


def output_closed() -> Interrupted:
    """The interruption by a reader that takes no more of what the command prints."""
    return Interrupted("standard output was closed", 128 + 13)


@contextmanager
def interruptible(load: Callable[[], Callable[[], None]]) -> Iterator[Callable[[], None]]:
    """What ``load`` makes, to be called in here: signals end the program at once while loading, and raise after it.

    Signals that the program was started to ignore stay ignored. Behind an interruption Ctrl-C has no effect any more.
    """
    numbers = {getattr(signal, name): why for name, why in _SIGNALS.items() if hasattr(signal, name)}
    before = {number: signal.getsignal(number) for number in numbers}
    taken = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]

    def leave(number: int, _: FrameType | None) -> NoReturn:
        _say(str(Interrupted(numbers[number], 0)))
        os._exit(128 + number)

    def interrupt(number: int, _: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # pressed again, it would end what clears away
        raise Interrupted(numbers[number], 128 + number)

    def handle(handler: Callable[[int, FrameType | None], NoReturn]) -> None:
        for number in taken:
            signal.signal(number, handler)

    try:
        handle(leave)
        run = load()
        handle(interrupt)
        yield run
    except Interrupted as found:
        before[signal.SIGINT] = signal.SIG_IGN
        _say(str(found))
        sys.exit(found.status)
    finally:
        for number in taken:
            signal.signal(number, before[number])


def _say(line: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # where there is no standard error
        print(line, file=sys.stderr, flush=True)
