"""Guarded runs: what fails in a process model is raised here, where Lava alone would wait for ever."""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any

from lava.magma.core.run_conditions import RunSteps

from lava_runtime.errors import RunError

_LOOK_SECONDS = 0.01


class GuardedRuns:
    """What is connected with ``processes``, compiled once and run as often as one likes.

    ``alive`` says whether there still is somebody who waits for the results. All processes have ended behind the
    ``with`` block, or when it was not entered for an error.
    """

    def __init__(self, processes: list[Any], config: Any, channel_size: int, alive: Callable[[], bool]) -> None:
        sys.setrecursionlimit(1000 + 20 * len(processes))  # lava walks along connections by recursion
        _raise_file_limit()
        self._anchor, self._alive = processes[0], alive
        try:
            self._anchor.create_runtime(run_cfg=config, compile_config={"pypy_channel_size": channel_size})
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> GuardedRuns:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def run(self, steps: int) -> float:
        """So many time steps more; seconds that they took. Raises ``RunError`` with what a process model failed by."""
        began = time.perf_counter()
        self._anchor.run(condition=RunSteps(num_steps=steps, blocking=False))
        _watch(self._anchor.runtime, self._alive)
        self._anchor.wait()
        return time.perf_counter() - began

    def end(self) -> None:
        """Kill all processes and free their memory; what runs yielded is in files by now."""
        if self._anchor.runtime is not None:
            _end(self._anchor.runtime)


def _raise_file_limit() -> None:
    """Every channel takes several files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            return  # some systems name a limit that they do not grant


def _watch(runtime: Any, alive: Callable[[], bool]) -> None:
    """Return when the run is complete; raise as soon as a process fails."""
    actors = list(runtime._messaging_infrastructure.actors)
    connections = {actor._pconn: actor for actor in actors}
    ends = {actor.sentinel: actor for actor in actors}
    while not all(port.probe() for port in runtime.service_to_runtime):
        ready: list[Any] = wait([*connections, *ends], timeout=_LOOK_SECONDS)
        for connection in ready:
            if connection in connections:
                message = connection.recv()
                if message is not None:
                    raise RunError(f"a process model failed:\n{message[1]}")
        for sentinel in ready:
            if sentinel in ends and not ends[sentinel]._pconn.poll():
                name = _name(runtime, actors.index(ends[sentinel]))
                raise RunError(f"a process of the network ended{name}: {_cause(ends[sentinel])}")
        if not alive():
            raise RunError("nobody waits for the result any more")


def _name(runtime: Any, position: int) -> str:
    """Which process of the network the actor at ``position`` is: Lava starts them in this order, then its services."""
    names = [process.name for process in runtime._executable.proc_builders]
    return f" ({names[position]})" if position < len(names) else ""


def _cause(actor: Any) -> str:
    actor._popen.wait(timeout=1.0)
    code = actor.exitcode
    if code is not None and code < 0:
        return f"it was killed by {signal.Signals(-code).name}; the system may have run out of memory"
    return f"its exit status was {code}"


def _end(runtime: Any) -> None:
    runtime._is_started = runtime._is_running = False
    infrastructure = runtime._messaging_infrastructure
    if infrastructure is None:
        return
    for actor in infrastructure.actors:
        actor.kill()
    for actor in infrastructure.actors:
        actor._popen.wait()
    infrastructure.actors.clear()
    infrastructure._smm.shutdown()
