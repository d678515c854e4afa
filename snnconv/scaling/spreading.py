"""Items given to whoever does them, a few ahead, and their answers taken as they come."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from snnconv.errors import ConfigurationError, SnnconvError, WorkerError
from snnconv.scaling.items import packed, unpacked, work
from snnconv.scaling.shared import SharedValue
from snnconv.scaling.workers import Workers, number_of

#: Items that an executor is taken to do at once where nobody says how many.
_UNKNOWN = 16
REMEDY = (
    "see whether its processes were killed, as a system short of memory does, whether they can import snnconv, and "
    'whether a script that starts them has its guard, if __name__ == "__main__":'
)

Value = TypeVar("Value")


@runtime_checkable
class Executor(Protocol):
    """Does work elsewhere: an executor of ``concurrent.futures``, a client of Dask, or what is made to look like it."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """A future: an object whose method ``result`` waits for what ``function`` returns for ``arguments``."""


@contextmanager
def spread_over(workers: int | Literal["auto"] | None, executor: Executor | None) -> Iterator[Spreading | None]:
    """Whoever does the work of a call: ``None`` is this process; ``workers`` of this machine end with the call.

    With an ``executor`` ``workers`` says how many items it does at once. Raises ``ConfigurationError`` for a number
    below 1, and for what is no executor.
    """
    number = None if workers is None else number_of(workers)
    if executor is not None:
        if not callable(getattr(executor, "submit", None)) or isinstance(executor, type):
            raise ConfigurationError(
                f"executor is a {type(executor).__name__} without a method submit(function, *arguments): give "
                "snnconv.Workers(2), an executor of concurrent.futures, or a client of Dask"
            )
        if isinstance(executor, Workers):
            yield Spreading(executor, executor.workers, executor.threads)
        else:
            yield Spreading(executor, number or getattr(executor, "_max_workers", None) or _UNKNOWN, 1)
    elif number is None:
        yield None
    else:
        with Workers(number) as own:
            yield Spreading(own, number, 1)


class Spreading:
    """Gives items to an ``executor`` that does so many ``at_once``, each with so many ``threads``."""

    def __init__(self, executor: Executor, at_once: int, threads: int) -> None:
        self._executor, self.at_once, self._threads = executor, at_once, threads

    def in_order(
        self, function: Callable[..., Value], shared: SharedValue, arguments: Iterable[Any], what: str
    ) -> Iterator[Value]:
        """``function(shared, argument)`` for each of ``arguments``, in their order."""
        early: dict[int, Value] = {}
        following = 0
        for number, value in self.as_completed(function, ((shared, each) for each in arguments), what, [shared]):
            early[number] = value
            while following in early:
                yield early.pop(following)
                following += 1

    def as_completed(
        self, function: Callable[..., Value], calls: Iterable[tuple[Any, ...]], what: str, shared: Iterable[SharedValue]
    ) -> Iterator[tuple[int, Value]]:
        """The numbers of ``calls``, from 0, with what ``function`` returned for them, in the order of their ends.

        Calls are drawn as they are needed, so that they may be more than fit the memory. Where one fails, no other is
        begun; those at work come to their ends first. ``what`` is what errors call arguments, ``shared`` what they hold
        that is shared. Raises ``ConfigurationError`` for arguments that cannot be pickled, ``WorkerError`` where
        workers fail, and what ``function`` raises.
        """
        known = {each.key: each for each in shared}
        waiting: dict[int, tuple[Any, bytes, tuple[str, ...]]] = {}
        done: queue.SimpleQueue[int] = queue.SimpleQueue()
        source = enumerate(calls)
        failure: Exception | None = None

        def submit(number: int, item: bytes, missing: tuple[str, ...] = ()) -> None:
            # No more than was missed: of all that is shared, a process may keep too little for any item.
            content = {key: known[key].content() for key in missing}
            with _explained(self._executor):
                future = self._executor.submit(work, item, content)
            waiting[number] = future, item, missing
            _when_done(future, partial(done.put, number))

        try:
            more = True
            while True:
                while more and failure is None and len(waiting) < 2 * self.at_once:
                    found = next(source, None)
                    more = found is not None
                    if found is not None:
                        number, call = found
                        try:
                            submit(number, packed(what, self._threads, function, *call))
                        except SnnconvError as error:  # what was begun comes to its end
                            failure = error
                if not waiting:
                    break
                number = done.get()
                future, item, sent = waiting.pop(number)
                try:
                    answer = unpacked(_answer_of(self._executor, future))
                    if answer.raised is not None:
                        raise answer.raised
                except Exception as error:
                    failure = failure or error
                    _cancel(waiting)
                    continue
                if answer.missing is not None and failure is None:
                    try:
                        submit(number, item, (*sent, answer.missing))
                    except SnnconvError as error:
                        failure = error
                elif answer.missing is None:
                    yield number, answer.value
        finally:
            _cancel(waiting)
        if failure is not None:
            raise failure


def _cancel(waiting: dict[int, tuple[Any, bytes, tuple[str, ...]]]) -> None:
    for future, _, _ in waiting.values():
        with contextlib.suppress(Exception):
            future.cancel()


def _answer_of(executor: Executor, future: Any) -> bytes:
    with _explained(executor):
        found = future.result()
    assert isinstance(found, bytes)
    return found


@contextmanager
def _explained(executor: Executor) -> Iterator[None]:
    """Errors of the executor are a ``WorkerError``."""
    try:
        yield
    except SnnconvError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        reason = str(error) or type(error).__name__
        raise WorkerError(f"the executor ({type(executor).__name__}) failed: {reason}; {REMEDY}") from error


def _when_done(future: Any, tell: Callable[[], object]) -> None:
    """Call ``tell`` when ``future`` has a result; one that tells nobody is waited for."""
    if callable(getattr(future, "add_done_callback", None)):
        future.add_done_callback(lambda _: tell())
        return

    def wait() -> None:
        with contextlib.suppress(BaseException):  # it is raised again where the result is asked for
            future.result()
        tell()

    threading.Thread(target=wait, daemon=True).start()
