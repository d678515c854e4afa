"""Runs of bundles on Lava, in an interpreter of their own: Lava forks, hangs and leaks, which stays there."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from hw_export.lava.child import Child, LavaError
from snnconv.progress import PartsDone, ProgressCallback

MAIN = Path(__file__).parent / "runtime" / "main.py"
_PAGES = "pages"
_SHARED_MEMORY = Path("/dev/shm")


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
    progress: ProgressCallback | None = None,
) -> LavaResult:
    """Run ``bundle`` on Lava for ``inputs``, integers [N, *shape] of every input by name.

    ``interpreter`` is a Python that has lava-nc, numpy and scipy; this one if not given. ``synapses="lava"`` runs
    Lava's own models of convolutions and matrices, which are slower. ``hardware`` compiles the synapses for Loihi 2.
    ``progress`` is told of the samples of which all has arrived at an output; what it raises ends the run.
    Raises ``LavaError`` for whatever fails, and after ``timeout`` seconds; no process and no file is left then.
    """
    options = [*options_of(record, arithmetic, synapses, hardware)]
    with working_folder() as (folder, common):
        write_inputs(folder / "inputs.npz", inputs)
        files = [os.path.abspath(bundle), str(folder / "inputs.npz"), str(folder / "result.npz")]
        samples = _Samples(folder, max((len(values) for values in inputs.values()), default=0), progress)
        child = Child([interpreter or sys.executable, str(MAIN), *files, *options, *common], folder)
        try:
            timed_out = not child.wait(timeout, samples.look)
        finally:
            child.kill()
        if timed_out:
            raise child.timed_out(timeout)
        if error := child.failure():
            raise error
        samples.end()
        return read_result(folder / "result.npz")


class _Samples:
    """Tells ``progress`` of the samples of which all has arrived, as the runtime in ``folder`` notes them."""

    def __init__(self, folder: Path, total: int, progress: ProgressCallback | None) -> None:
        self._turn = folder / _PAGES / "turn"
        self._total, self._done = total, 0
        self._parts = PartsDone(progress, "running on Lava", total)

    def look(self) -> None:
        """Read how many there are."""
        with suppress(OSError):  # as long as nothing runs
            numbers = np.fromfile(self._turn, np.int64)
            if len(numbers) == 3:  # the file is written in one go, but not at once
                self._note(int(numbers[2]))

    def end(self) -> None:
        """All samples have run."""
        self._note(self._total)

    def _note(self, done: int) -> None:
        if self._done < done <= self._total:
            more, self._done = done - self._done, done
            self._parts.more(more)


def options_of(record: Sequence[str], arithmetic: str, synapses: str, hardware: bool) -> Iterator[str]:
    """What a run should be, as options of the runtime."""
    yield from (f"--record={name}" for name in record)
    yield from (f"--arithmetic={arithmetic}", f"--synapses={synapses}")
    if hardware:
        yield "--hardware"


@contextmanager
def explained() -> Iterator[None]:
    """What the system does not do for a run is a ``LavaError`` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise LavaError(
                f"the disk of {tempfile.gettempdir()} is full: free some space, or let TMPDIR name another folder"
            ) from error
        raise LavaError(f"the run on Lava could not be carried out: {error}") from error


@contextmanager
def working_folder() -> Iterator[tuple[Path, list[str]]]:
    """A folder for files of a run, and options that say where the runtime may write; nothing is left behind it."""
    prefix = f"snn{secrets.token_hex(4)}-"
    with explained():
        folder = Path(tempfile.mkdtemp(prefix="snnconv-lava-"))
        try:
            pages = folder / _PAGES
            pages.mkdir()
            yield folder, [f"--prefix={prefix}", f"--folder={pages}"]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            for left in _SHARED_MEMORY.glob(f"{prefix}*"):
                left.unlink(missing_ok=True)


def write_inputs(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write integers as an .npz file whose names may be any, which ``numpy.savez`` does not allow."""
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            values = np.asarray(array)
            if values.dtype.kind not in "iu":
                raise LavaError(f"input {name!r} is {values.dtype}, it must hold integers")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def read_result(path: Path) -> LavaResult:
    """What the runtime wrote to ``path``."""
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
