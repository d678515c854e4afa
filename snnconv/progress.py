"""One contract for progress and for cancelling: a function is told how far a task has come, and may raise to end it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Progress:
    """How far a task has come: ``done`` of ``total`` equal parts of ``what``.

    In one call of a public function ``done`` never falls for one ``what``; its first value is 0, or what was read from
    a file, and in the last record of a ``what`` it equals ``total``, also where work ended early.

    Attributes:
        what: The task, such as "evaluating".
        done: Parts that are done.
        total: All parts; ``None`` while it is not known.
    """

    what: str
    done: int
    total: int | None


#: Called between parts of the work. Whatever it raises ends the work, comes through unchanged, and leaves networks that
#: were only read, and files, as an interruption at this place does: whole, ready to go on. What it returns is ignored.
ProgressCallback = Callable[[Progress], object]


def tell(progress: ProgressCallback | None, what: str, done: int, total: int | None) -> None:
    """Call ``progress``, if there is one."""
    if progress is not None:
        progress(Progress(what, done, total))


class PartsDone:
    """The parts of a task ``what`` that are done, told at the start, as some more are done, and at the end."""

    def __init__(self, progress: ProgressCallback | None, what: str, total: int | None) -> None:
        self._progress, self._what, self._total = progress, what, total
        self._done = 0
        tell(progress, what, 0, total)

    def more(self, parts: int = 1) -> None:
        """So many more ``parts`` are done."""
        self._done += parts
        if self._total is not None and self._done > self._total:
            self._total = None  # there are more than was said
        tell(self._progress, self._what, self._done, self._total)

    def end(self) -> None:
        """What is done is all."""
        if self._total != self._done:
            tell(self._progress, self._what, self._done, self._done)


def told(progress: ProgressCallback | None, what: str, items: Iterable[Item], total: int | None) -> Iterator[Item]:
    """``items`` one by one, with a call of ``progress`` before the first and behind each."""
    parts = PartsDone(progress, what, total)
    for item in items:
        yield item
        parts.more()
    parts.end()


class Inner:
    """The callback of a task within another: puts the name of the outer one before ``what``.

    ``cancelled`` says whether an exception comes from the callback, for an outer task that handles exceptions.
    """

    def __init__(self, progress: ProgressCallback, name: str) -> None:
        self.progress, self.name = progress, name
        self.cancelled = False

    def __call__(self, found: Progress) -> None:
        try:
            self.progress(replace(found, what=f"{self.name}: {found.what}"))
        except BaseException:
            self.cancelled = True
            raise
