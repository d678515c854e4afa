"""Runs of bundles on Lava, in an interpreter of their own: Lava forks, hangs and leaks, which stays there."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from coding.errors import SnnconvError

MAIN = Path(__file__).parent / "runtime" / "main.py"
_SHARED_MEMORY = Path("/dev/shm")
_LOOK_SECONDS = 0.02
#: How long to wait for killed processes.
_END_SECONDS = 2.0
#: Lines of what the runtime wrote that an error shows.
_LINES = 30
_NO_LAVA = 3


class LavaError(SnnconvError):
    """A run on Lava failed; the message says where and why, with the end of the traceback if there is one."""


@dataclass(frozen=True)
class LavaResult:
    """What a run on Lava yielded.

    ``outputs`` holds sums by output, [N, *shape], int64 or, in floating point, float64; ``spikes`` how
    often each neuron of a population or gate sent anything, [*shape] int64; ``rasters`` the payloads of those that were
    recorded, [N, steps, *shape] int32; ``seconds`` what "build", "compile" and "run" took; ``steps`` the time steps of
    Lava.
    """

    outputs: Mapping[str, np.ndarray]
    spikes: Mapping[str, np.ndarray]
    rasters: Mapping[str, np.ndarray]
    seconds: Mapping[str, float]
    steps: int
    python: str
    lava: str


def launch(
    bundle: str | os.PathLike[str],
    inputs: Mapping[str, np.ndarray],
    *,
    record: Sequence[str] = (),
    arithmetic: Literal["fixed", "float"] = "fixed",
    hardware: bool = False,
    interpreter: str | None = None,
    timeout: float = 3600.0,
    synapses: Literal["fast", "lava"] = "fast",
) -> LavaResult:
    """Run ``bundle`` on Lava for ``inputs``, integers [N, *shape] of every input by name.

    ``interpreter`` is a Python that has lava-nc, numpy and scipy; this one if not given. ``synapses="lava"`` runs
    Lava's own models of convolutions and matrices, which are slower. ``hardware`` compiles the synapses for Loihi 2.
    Raises ``LavaError`` for whatever fails, and after ``timeout`` seconds; no process and no file is left then.
    """
    prefix = f"snn{secrets.token_hex(4)}-"
    options = [f"--record={name}" for name in record]
    options += [f"--arithmetic={arithmetic}", f"--synapses={synapses}", f"--prefix={prefix}"]
    options += ["--hardware"] if hardware else []
    try:
        folder = Path(tempfile.mkdtemp(prefix="snnconv-lava-"))
        try:
            _write(folder / "inputs.npz", inputs)
            pages = folder / "pages"
            pages.mkdir()
            files = [os.path.abspath(bundle), str(folder / "inputs.npz"), str(folder / "result.npz")]
            command = [interpreter or sys.executable, str(MAIN), *files, *options, f"--folder={pages}"]
            _run(command, folder, timeout)
            return _read(folder / "result.npz")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            for left in _SHARED_MEMORY.glob(f"{prefix}*"):
                left.unlink(missing_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise LavaError(
                f"the disk of {tempfile.gettempdir()} is full: free some space, or let TMPDIR name another folder"
            ) from error
        raise LavaError(f"the run on Lava could not be carried out: {error}") from error


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """An .npz file whose names may be any, which ``numpy.savez`` does not allow."""
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            values = np.asarray(array)
            if values.dtype.kind not in "iu":
                raise LavaError(f"input {name!r} is {values.dtype}, it must hold integers")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def _read(path: Path) -> LavaResult:
    with np.load(path, allow_pickle=False) as file:
        report = json.loads(str(file["report"]))
        arrays = {name: file[name] for name in file.files}
    return LavaResult(
        outputs=_part(arrays, "outputs."),
        spikes=_part(arrays, "spikes."),
        rasters=_part(arrays, "rasters."),
        seconds=report["seconds"],
        steps=report["steps"],
        python=report["python"],
        lava=report["lava"],
    )


def _part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _run(command: Sequence[str], folder: Path, timeout: float) -> None:
    """Run ``command`` to its end; ``LavaError`` unless it ends well. Nothing of its session outlives the call."""
    if os.name != "posix":
        raise LavaError("Lava runs on Linux and macOS only")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    messages = folder / "messages"
    with open(messages, "wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        timed_out = not _ended(process.pid, time.monotonic() + timeout)
    finally:
        _kill(process)
    code = process.returncode
    if timed_out:
        raise LavaError(_message(f"the run on Lava was stopped: it took more than {timeout:g} s", messages))
    if code == _NO_LAVA:
        raise LavaError(_message("the interpreter has no Lava", messages))
    if code < 0:
        name = signal.Signals(-code).name
        raise LavaError(_message(f"the run on Lava was killed by {name}; out of memory?", messages))
    if code > 0:
        raise LavaError(_message("the run on Lava failed", messages))


def _ended(pid: int, deadline: float) -> bool:
    """Wait for the process ``pid`` without reaping it, so that its number still names its group; False if too late."""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all that it started, and wait until they are gone."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + _END_SECONDS
    while _living(process.pid) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


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


def _message(what: str, messages: Path) -> str:
    """``what`` went wrong and the last lines that the runtime wrote."""
    with open(messages, "rb") as file:
        file.seek(max(0, messages.stat().st_size - (1 << 16)))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return "\n".join([f"{what}:", *lines[-_LINES:]]) if lines else what
