"""Processes of this machine as an executor, which may be kept from one call to the next."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Literal, Self

import cloudpickle
import torch

from snnconv.errors import ConfigurationError, WorkerError
from snnconv.scaling.items import sendable
from snnconv.scaling.shared import remove_read

#: What a worker says when it is ready for work.
_READY = b"ready"
_Job = tuple[Future[Any], bytes]
#: Seconds between looks at whether a worker lives: what it has started may hold its pipe open behind its end.
_LOOK_SECONDS = 1.0

MAIN_GUARD = (
    'workers are processes that import the script again, so it must begin its work under a guard: if __name__ == "__'
    'main__": main()'
)


def number_of(workers: object, threads: int = 1) -> int:
    """How many processes ``workers`` means, of so many threads each; raises ``ConfigurationError``."""
    if workers == "auto":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // threads)
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ConfigurationError(f'workers must be a number of processes of at least 1, or "auto", got {workers!r}')
    return workers


class Workers:
    """So many processes of this machine, an ``executor=`` for many calls: they load torch once, which takes seconds.

    A process starts with the first item that it does, and one that was killed starts anew with the next. Scripts that
    use workers need a guard, ``if __name__ == "__main__":``, since every process imports them.

    Args:
        workers: Number of processes, or "auto" for one for every core that this process may use.
        threads: Threads that each computes with.

    Raises:
        ConfigurationError: A number is below 1.
    """

    def __init__(self, workers: int | Literal["auto"] = "auto", *, threads: int = 1) -> None:
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
            raise ConfigurationError(f"threads must be a number of at least 1, got {threads!r}")
        self.workers, self.threads = number_of(workers, threads), threads
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise ConfigurationError(MAIN_GUARD)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._each = [_Worker(number + 1, threads, self._jobs) for number in range(self.workers)]
        self._closed = False
        # Before multiprocessing waits for processes that were not told to end.
        self._at_exit = weakref.finalize(self, _end, self._each, self._jobs)
        atexit.register(self._at_exit)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """What ``function`` returns for ``arguments``, in one of the processes; all of them must be picklable."""
        if self._closed:
            raise ConfigurationError("these workers have been closed: make others")
        future: Future[Any] = Future()
        self._jobs.put((future, cloudpickle.dumps((function, arguments))))
        return future

    def close(self) -> None:
        """End all processes, also those at work."""
        self._closed = True
        self._at_exit()
        atexit.unregister(self._at_exit)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _end(each: list[_Worker], jobs: queue.SimpleQueue[_Job | None]) -> None:
    for worker in each:
        worker.end()
    with contextlib.suppress(queue.Empty):
        while True:
            job = jobs.get_nowait()
            if job is not None:
                job[0].cancel()
    for _ in each:
        jobs.put(None)
    for worker in each:
        worker.thread.join()


class _Worker:
    """One process, and the thread that gives it work."""

    def __init__(self, number: int, threads: int, jobs: queue.SimpleQueue[_Job | None]) -> None:
        self.number, self._threads, self._jobs = number, threads, jobs
        self._process: Any = None
        self._connection: Connection[bytes, bytes] | None = None
        self._ended, self._lock = False, threading.Lock()
        self.thread = threading.Thread(target=self._give, name=f"snnconv worker {number}", daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Kill the process, and start no other."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()

    def _give(self) -> None:
        if hasattr(signal, "pthread_sigmask"):  # processes have it from here: who asks for work decides when it ends
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while (job := self._jobs.get()) is not None:
            future, call = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                self._start()
                assert self._connection is not None
                self._connection.send_bytes(call)
                succeeded, value = pickle.loads(self._received())
            except (EOFError, OSError):
                future.set_exception(WorkerError(self._buried("while it worked")))
            except Exception as error:
                future.set_exception(error)
            else:
                if succeeded:
                    future.set_result(value)
                else:
                    future.set_exception(value)
        if self._process is not None:
            self._buried("")

    def _start(self) -> None:
        if self._process is not None:
            if self._process.is_alive():
                return
            self._buried("")  # killed while it had no work, so that nothing is lost
        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe()
        with self._lock:
            if self._ended:
                raise WorkerError("these workers have been closed")
            process = context.Process(target=_serve, args=(theirs, self._threads), name=f"snnconv worker {self.number}")
            process.start()
            self._process, self._connection = process, mine
        theirs.close()
        try:
            self._received()
        except (EOFError, OSError):
            ended = self._buried("before it was ready for work")
            raise WorkerError(ended if self._ended else f"{ended}; {MAIN_GUARD}") from None

    def _received(self) -> bytes:
        """What the process sends next; raises ``EOFError`` where it has ended."""
        process, connection = self._process, self._connection
        assert process is not None and connection is not None
        while not connection.poll(_LOOK_SECONDS):
            if not process.is_alive() and not connection.poll():
                raise EOFError
        return connection.recv_bytes()

    def _buried(self, when: str) -> str:
        """What became of the process, which is taken leave of."""
        process, connection = self._process, self._connection
        assert process is not None and connection is not None
        connection.close()
        process.join()
        with self._lock:
            self._process = self._connection = None
        code = process.exitcode
        how, often = f"ended with status {code}", ""
        if code is not None and code < 0:
            names = {each.value: each.name for each in signal.Signals}  # some real-time signals have none
            how = f"was killed by {names.get(-code, f'signal {-code}')}"
            often = ", as a system short of memory does" if -code == getattr(signal, "SIGKILL", None) else ""
        return f"worker {self.number} (process {process.pid}) {how} {when}{often}"


def _serve(connection: Connection[bytes, bytes], threads: int) -> None:
    """Do what comes through ``connection`` until it is closed."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    threading.Thread(target=_follow_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):  # of whoever asks for no more
        _work_through(connection)


def _work_through(connection: Connection[bytes, bytes]) -> None:
    connection.send_bytes(_READY)
    while True:
        call = connection.recv_bytes()
        try:
            function, arguments = pickle.loads(call)
            answer = pickle.dumps((True, function(*arguments)))
        except BaseException as error:
            answer = pickle.dumps((False, sendable(error)))
        connection.send_bytes(answer)


def _follow_parent() -> None:
    """End with the process that asked for work, also in the middle of it, and remove what it shared."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    sys.stderr = None
    try:
        remove_read()
    finally:
        os._exit(1)
