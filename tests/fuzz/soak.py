"""A long run: what a thousand conversions and evaluations in one process leave behind, and commands that are killed.

Memory is that of the process after Python's collector ran and the C library gave back what nobody holds. torch.export
itself keeps some of what every call makes, so conversions are compared with as many bare calls of it on the same
models, in another process. A run goes on where its file of results says, in new processes. Growth is that of rounds of
one process, its first ones left out: while caches that are bounded fill it counts as it was seen, and is not taken to
go on.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

import snnconv
from coding import FewSpike, Phase, Rate
from snnconv.storage.atomic import write_whole
from tests.support.networks import make

#: Rounds of each kind, and rounds between two measurements.
ROUNDS, EVERY = 1000, 10
#: Rounds of a process that load what it needs and are left out, and those behind which its growth is even.
WARM, SETTLED = 50, 200
#: MiB by which conversions may grow more than bare exports, over all rounds.
MOST = 10.0
#: The share of the time that is for conversions and exports; the rest is for commands that are killed.
_SHARE = 0.75
_MODELS = ("perceptron", "residual", "max pooling", "concatenation")
_CODES = (Rate(8), FewSpike(5), Phase(6))
_MIB = 2**20

Point = dict[str, float]


def convert(number: int) -> None:
    """Convert a new network, other for every number, and evaluate it."""
    model, x = make(_MODELS[number % len(_MODELS)], samples=24, dtype=torch.float32, seed=number)
    network = snnconv.convert(model, x, coding=_CODES[number % len(_CODES)])
    snnconv.evaluate(network, (x, torch.zeros(len(x), dtype=torch.int64)), reference=model)


def export(number: int) -> None:
    """Export the network of a number, and do no more."""
    model, x = make(_MODELS[number % len(_MODELS)], samples=24, dtype=torch.float32, seed=number)
    with torch.no_grad():
        torch.export.export(model, (x[:2],), dynamic_shapes=({0: Dim("batch")},), strict=False)


WORK: dict[str, Callable[[int], None]] = {"convert": convert, "export": export}


def points(work: Callable[[int], None], first: int, last: int) -> Iterator[Point]:
    """Do the rounds from ``first`` to ``last``, and measure this process every so many."""
    for number in range(first, last):
        work(number)
        if (number + 1 - first) % EVERY == 0 or number + 1 == last:
            yield {"round": number + 1 - first, **measured()}


def measured() -> Point:
    """Resident memory in MiB, open file descriptors and threads of this process."""
    gc.collect()
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:  # the GNU C library has it
        trim(0)
    resident = int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MIB
    return {
        "resident": round(resident, 3),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count() + len(os.listdir("/proc/self/task")),
    }


def growth(found: list[Point]) -> float | None:
    """MiB in ``ROUNDS`` rounds of one process behind its first ones; ``None`` where it did too few.

    Up to ``SETTLED`` they are those measured, from there on those of a line through all that follows, by least squares.
    """
    late = [(point["round"], point["resident"]) for point in found if point["round"] >= SETTLED]
    if len(late) < 3:
        return None
    rounds, resident = (torch.tensor(values, dtype=torch.float64) for values in zip(*late, strict=True))
    apart = rounds - rounds.mean()
    rate = float((apart * resident).sum() / apart.square().sum())
    settled = float(resident.mean()) + rate * (SETTLED - float(rounds.mean()))
    first = next(point for point in found if point["round"] >= WARM)
    return settled - first["resident"] + rate * (ROUNDS + first["round"] - SETTLED)


def faults_of(kind: str, found: list[Point]) -> list[str]:
    """What grew that has to be constant."""
    late = [point for point in found if point["round"] >= WARM]
    return [
        f"{kind}: {what} from {min(values):g} to {max(values):g}"
        for what in ("descriptors", "threads")
        if len(set(values := [point[what] for point in late])) > 1
    ]


def verdict(segments: dict[str, list[list[Point]]]) -> tuple[list[str], str]:
    """What broke a promise, and one line that says how much memory grew."""
    faults = [fault for kind, parts in segments.items() for part in parts for fault in faults_of(kind, part)]
    grown: dict[str, float] = {}
    for kind, parts in segments.items():
        known = [(each, len(part)) for part in parts if (each := growth(part)) is not None]
        if known:
            grown[kind] = sum(each * count for each, count in known) / sum(count for _, count in known)
    if len(grown) < len(WORK):
        return faults, "too few rounds to say how memory grows"
    told = f"MiB in {ROUNDS} rounds: " + ", ".join(f"{kind} {each:+.1f}" for kind, each in grown.items())
    if grown["convert"] - grown["export"] > MOST:
        faults.append(f"conversions keep more memory than exports: {told}")
    return faults, told


class SoakResults:
    """Points of every process so far, by kind, in a file that a later run goes on with."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.seed = path, seed
        self.segments: dict[str, list[list[Point]]] = {kind: [] for kind in WORK}
        if path.exists():
            found = json.loads(path.read_text())
            if found["seed"] != seed:
                raise SystemExit(f"{path} is of seed {found['seed']}: give that, or another file")
            self.segments = found["segments"]

    def done(self, kind: str) -> int:
        """Rounds so far."""
        return sum(int(part[-1]["round"]) for part in self.segments[kind] if part)

    def write(self) -> None:
        """Write the file, whole."""
        write_whole(self.path, json.dumps({"seed": self.seed, "segments": self.segments}).encode())


def work_on(results: SoakResults, kind: str, deadline: float) -> None:
    """Rounds of one kind in a new process, until all are done or time is over; what it measured is kept as it comes."""
    left = ROUNDS - results.done(kind)
    if left <= 0 or time.monotonic() >= deadline:
        return
    part: list[Point] = []
    results.segments[kind].append(part)
    first = results.seed + results.done(kind)
    command = [sys.executable, "-m", "tests.fuzz", "soak", "--worker", kind, str(first), str(first + left)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                part.append(json.loads(line))
                results.write()
                if time.monotonic() >= deadline:
                    return
            if process.wait():
                raise SystemExit(f"the process that was to {kind} ended with {process.returncode}")
        finally:
            process.kill()


def main(arguments: list[str]) -> int:
    """Work for so long and say what grew; 1 where it was too much, or where a killed command left something behind."""
    if arguments[:1] == ["--worker"]:
        return _worker(arguments[1], int(arguments[2]), int(arguments[3]))
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=7200.0, help="how long to work")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("fuzz-soak.json"), help="file to go on with")
    chosen = parser.parse_args(arguments)
    chosen.results.parent.mkdir(parents=True, exist_ok=True)
    results = SoakResults(chosen.results, chosen.seed)
    started = time.monotonic()
    for position, kind in enumerate(WORK, 1):
        work_on(results, kind, started + chosen.seconds * _SHARE * position / len(WORK))
    faults, told = verdict(results.segments)
    print(", ".join(f"{kind}: {results.done(kind)} rounds" for kind in WORK), told, sep="; ")
    for fault in faults:
        print(f"FAULT: {fault}")
    left = chosen.seconds - (time.monotonic() - started)
    kills: Any = importlib.import_module("tests.fuzz.kills")
    file = chosen.results.with_name(f"{chosen.results.stem}-kills.json")
    killed = kills.main(["--seconds", f"{left:.0f}", "--seed", str(chosen.seed), "--results", str(file)])
    return 1 if faults or killed else 0


def _worker(kind: str, first: int, last: int) -> int:
    torch.set_num_threads(1)
    for point in points(WORK[kind], first, last):
        print(json.dumps(point), flush=True)
    return 0
