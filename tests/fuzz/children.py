"""Readings of files in children forked of one warm process, with limits of time and memory."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import resource
import select
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import torch

from tests.fuzz.formats.format import FileFormat, fingerprint

_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Seconds between two looks at a child's memory.
_LOOK = 0.02
#: Bytes of a traceback's last line that are kept.
_LONGEST = 500


@dataclass(frozen=True)
class Limits:
    """Seconds and bytes of resident memory that one reading may take, and bytes that it may ask for at once."""

    seconds: float = 20.0
    resident: int = 3 << 30
    asked: int = 8 << 30


@dataclass(frozen=True)
class FileReading:
    """What became of one file: ``outcome`` is "accepted" (with a ``fingerprint``), "refused", or a failure's kind."""

    outcome: str
    detail: str = ""
    fingerprint: str = ""
    seconds: float = 0.0


LIMITS = Limits()


def read_apart(form: FileFormat, path: Path, limits: Limits = LIMITS) -> FileReading:
    """What ``form.read`` makes of the file ``path``, in a child of this process."""
    return next(each_apart(lambda _: outcome_of(form, path), range(1), limits))


def each_apart(work: Callable[[int], dict[str, str]], numbers: range, limits: Limits = LIMITS) -> Iterator[FileReading]:
    """What ``work``, which gives arguments of ``FileReading``, makes of every one of ``numbers``, in their order.

    It runs in a child of this process; where that ends or has to be ended, another goes on behind the number.
    """
    done = 0
    while done < len(numbers):
        for reading in _child(work, numbers[done:], limits):
            done += 1
            yield reading


def _child(work: Callable[[int], dict[str, str]], numbers: range, limits: Limits) -> Iterator[FileReading]:
    """As ``each_apart``, up to the first failure."""
    receiving, sending = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks where there are threads: the child has none
        child = os.fork()
    if child == 0:
        os.close(receiving)
        _run(work, numbers, limits, sending)
    os.close(sending)
    try:
        with open(receiving, "rb", buffering=0) as pipe:
            for _ in numbers:
                started = time.monotonic()
                content, failure = _line(child, pipe, started, limits)
                taken = time.monotonic() - started
                if failure or not content:
                    yield FileReading(failure or _end(child), seconds=taken)
                    return
                yield FileReading(**json.loads(content), seconds=taken)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)


def _end(child: int) -> str:
    """How a child that says nothing more has ended."""
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return f"crash: {signal.Signals(-code).name if code < 0 else f'exit {code}'}"


def _line(child: int, pipe: FileIO, started: float, limits: Limits) -> tuple[bytes, str]:
    """The next line that the child writes, or nothing where it has ended, and which limit it went beyond."""
    content = b""
    while not content.endswith(b"\n"):
        if select.select([pipe], [], [], _LOOK)[0]:
            part = pipe.readline()
            if not part:
                return b"", ""
            content += part
        elif time.monotonic() - started > limits.seconds:
            return b"", "hang"
        elif _resident(child) > limits.resident:
            return b"", "out of memory"
    return content, ""


def _resident(child: int) -> int:
    try:
        return int(Path(f"/proc/{child}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError):  # it ended meanwhile
        return 0


def _run(work: Callable[[int], dict[str, str]], numbers: range, limits: Limits, sending: int) -> None:
    """Work and tell, then end this process, whatever happens."""
    code = 1
    try:
        os.setsid()
        with open(os.devnull, "r+b") as nothing:
            for stream in range(3):
                os.dup2(nothing.fileno(), stream)
        now = int(Path("/proc/self/statm").read_bytes().split()[0]) * _PAGE
        resource.setrlimit(resource.RLIMIT_AS, (now + limits.asked, now + limits.asked))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.disable()
        torch.set_num_threads(1)  # the threads of this process's parent are not there
        for number in numbers:
            os.write(sending, json.dumps(work(number)).encode() + b"\n")
        code = 0
    finally:
        os._exit(code)


def outcome_of(form: FileFormat, path: Path) -> dict[str, str]:
    """What reading ``path`` in this process comes to, as arguments of ``FileReading``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = fingerprint(form.read(path))
    except form.refusals as error:
        return {"outcome": "refused", "detail": str(error)[:_LONGEST]}
    except MemoryError as error:
        return {"outcome": "out of memory", "detail": str(error)[:_LONGEST]}
    except BaseException as error:  # that is what is looked for
        return {"outcome": f"raw {type(error).__name__}", "detail": str(error)[:_LONGEST]}
    return {"outcome": "accepted", "fingerprint": found}
