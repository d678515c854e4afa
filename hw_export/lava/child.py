"""A child process that runs Lava, ended with all that it started; how it ended is said in words."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from coding.errors import SnnconvError

_LOOK_SECONDS = 0.02
#: How long to wait for killed processes.
_END_SECONDS = 2.0
#: Lines of what the runtime wrote that an error shows.
_LINES = 30
_NO_LAVA = 3


class LavaError(SnnconvError):
    """A run on Lava failed; the message says where and why, with the end of the traceback if there is one."""


class Child:
    """``command`` in a session of its own, whose messages go to a file in ``folder``.

    With ``asked`` it has pipes: lines that are written to ``questions`` are answered on ``answers``.
    """

    def __init__(self, command: Sequence[str], folder: Path, asked: bool = False) -> None:
        if os.name != "posix":
            raise LavaError("Lava runs on Linux and macOS only")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._messages = folder / "messages"
        with open(self._messages, "wb") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if asked else subprocess.DEVNULL,
                stdout=subprocess.PIPE if asked else file,
                stderr=file,
                env=environment,
                start_new_session=True,
            )

    @property
    def questions(self) -> IO[bytes]:
        """What it reads."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def answers(self) -> IO[bytes]:
        """What it writes."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself; it is not reaped, so that its number still names its group."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def wait(self, seconds: float, look: Callable[[], object] = lambda: None) -> bool:
        """Wait until it ends, and say whether it did within ``seconds``; call ``look`` now and then meanwhile."""
        deadline = time.monotonic() + seconds
        while not self.has_ended:
            look()
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def end(self, seconds: float) -> None:
        """Ask nothing more, give it so long to end by itself, and kill what is left."""
        if self._process.returncode is None:
            with suppress(BrokenPipeError):
                self.questions.close()
            self.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Kill it and all that it started, and wait until they are gone."""
        if self._process.returncode is not None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        deadline = time.monotonic() + _END_SECONDS
        while _living(self._process.pid) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)

    def timed_out(self, seconds: float) -> LavaError:
        """The error of a run that took longer than ``seconds``."""
        return LavaError(self._said(f"the run on Lava was stopped: it took more than {seconds:g} s"))

    def failure(self) -> LavaError | None:
        """What went wrong where it ended, and the last lines that it wrote; ``None`` if it ended well."""
        code = self._process.returncode
        if code == _NO_LAVA:
            return LavaError(self._said("the interpreter has no Lava"))
        if code < 0:
            name = signal.Signals(-code).name
            return LavaError(self._said(f"the run on Lava was killed by {name}; out of memory?"))
        return LavaError(self._said("the run on Lava failed")) if code > 0 else None

    def _said(self, what: str) -> str:
        with open(self._messages, "rb") as file:
            file.seek(max(0, self._messages.stat().st_size - (1 << 16)))
            lines = file.read().decode(errors="replace").strip().splitlines()
        return "\n".join([f"{what}:", *lines[-_LINES:]]) if lines else what


def _living(group: int) -> bool:
    """Whether a process of ``group`` still runs; one that has ended may wait for long until it is reaped."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    states = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, owner, *_ = file.read_text(errors="replace").rpartition(")")[2].split()
        except (OSError, ValueError):
            continue  # it ended meanwhile
        if int(owner) == group:
            states.append(state)
    return not states or any(state not in "ZX" for state in states)
