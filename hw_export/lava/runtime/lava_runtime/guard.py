"""Guarded runs: what fails in a process model is raised here, where Lava alone would wait for ever."""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from typing import Any

from lava.magma.core.run_conditions import RunSteps

from lava_runtime.errors import RunError

_LOOK_SECONDS = 0.01


def run_guarded(
    processes: list[Any],
    config: Any,
    steps: int,
    channel_size: int,
    alive: Callable[[], bool],
) -> Mapping[str, float]:
    """Compile and run what is connected with ``processes``; seconds that it took.

    ``alive`` says whether there still is somebody who waits for the result. Raises ``RunError`` with the traceback of
    a process model that fails. All processes have ended when this returns or raises.
    """
    sys.setrecursionlimit(1000 + 20 * len(processes))  # lava walks along connections by recursion
    _raise_file_limit()
    anchor = processes[0]
    began = time.perf_counter()
    try:
        anchor.create_runtime(run_cfg=config, compile_config={"pypy_channel_size": channel_size})
        compiled = time.perf_counter()
        anchor.run(condition=RunSteps(num_steps=steps, blocking=False))
        _watch(anchor.runtime, alive)
        anchor.wait()
        ended = time.perf_counter()
    finally:
        if anchor.runtime is not None:
            _end(anchor.runtime)
    return {"compile": compiled - began, "run": ended - compiled}


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
                raise RunError(f"a process of the network ended: {_cause(ends[sentinel])}")
        if not alive():
            raise RunError("nobody waits for the result any more")


def _cause(actor: Any) -> str:
    actor._popen.wait(timeout=1.0)
    code = actor.exitcode
    if code is not None and code < 0:
        return f"it was killed by {signal.Signals(-code).name}; the system may have run out of memory"
    return f"its exit status was {code}"


def _end(runtime: Any) -> None:
    """Kill all processes of ``runtime`` and free its memory; what a run yields is in files by now."""
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
