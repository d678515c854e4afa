"""Killed workers: one of a pool that sweeps and evaluates is killed at random moments, and nothing measured is lost.

The call ends with an error that names the worker, or with what it comes to undisturbed. A sweep keeps every row that it
told of, and the next one goes on behind them to the same table. Whoever asked ends with no process left.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch

import snnconv
from coding import FewSpike, Rate
from snnconv.storage.atomic import write_whole
from tests.support.conversion import converted
from tests.support.networks import make

CODINGS: dict[str, Any] = {f"rate {steps}": Rate(steps) for steps in range(2, 8)}
#: No call takes as long as this, a start of workers on a busy machine included.
_HANGS_SECONDS = 300


@dataclass
class WorkerTally:
    """What became of calls: how many workers were killed, calls that ended with an error, and what was wrong."""

    kills: int = 0
    errors: int = 0
    faults: list[str] = field(default_factory=list)


class PoolTrial:
    """Calls of one pool of two, undisturbed and disturbed."""

    def __init__(self, pool: snnconv.Workers, folder: Path) -> None:
        self.pool, self.path = pool, folder / "sweep.json"
        self.model, self.x = make("deep", samples=60, dtype=torch.float32)
        self.data = (self.x, torch.zeros(len(self.x), dtype=torch.int64))
        self.network = converted("deep", lambda: (self.model, self.x), coding=FewSpike(4))
        self.batches = [(self.x[start : start + 4], self.data[1][start : start + 4]) for start in range(0, 60, 4)] * 4
        self.known = {"sweep": snnconv.sweep(self.model, self.x, self.data, CODINGS), "evaluate": self.evaluate(None)}
        #: How often a call tells how far it is, by its name.
        self.moments = {name: self._moments(name) for name in self.known}

    def sweep(self, executor: Any, told: Callable[[int], object] = lambda done: None) -> Any:
        def progress(found: snnconv.Progress) -> None:
            if found.what == "sweeping":
                told(found.done)

        options = {"path": self.path, "executor": executor, "progress": progress}
        return snnconv.sweep(self.model, self.x, self.data, CODINGS, **options)

    def evaluate(self, executor: Any, told: Callable[[int], object] = lambda done: None) -> Any:
        return snnconv.evaluate(self.network, self.batches, executor=executor, progress=lambda found: told(found.done))

    def _moments(self, name: str) -> int:
        told: list[int] = []
        self.path.unlink(missing_ok=True)
        getattr(self, name)(self.pool, told.append)
        return len(told)

    def disturbed(self, name: str, random: Random, tally: WorkerTally) -> None:
        """One call of which a worker is killed, at a moment at random, and the call that goes on behind it."""
        self.path.unlink(missing_ok=True)
        processes = [*{future.result() for future in [self.pool.submit(_number) for _ in range(4)]}]
        told, moment = [0], random.randrange(self.moments[name])

        def tell(done: int) -> None:
            if len(told) == moment + 1:
                time.sleep(0.1 * random.random())  # so that workers are anywhere
                os.kill(random.choice(processes), signal.SIGKILL)
                tally.kills += 1
            told.append(done)

        try:
            if getattr(self, name)(self.pool, tell) != self.known[name]:
                tally.faults.append(f"{name}: other figures beside a killed worker")
        except snnconv.WorkerError as error:
            tally.errors += 1
            if not any(f"(process {process}) was killed by SIGKILL" in str(error) for process in processes):
                tally.faults.append(f"{name}: the error names no worker: {error}")
            if name == "sweep":
                kept = len(snnconv.Sweep.load(self.path).results)
                if kept != max(told):
                    tally.faults.append(f"sweep: {max(told)} rows were told of and {kept} are kept")
        try:
            again = getattr(self, name)(self.pool)
        except snnconv.WorkerError:  # it was killed as the call ended, which the next one is told of
            tally.errors += 1
            again = getattr(self, name)(self.pool)
        if again != self.known[name]:
            tally.faults.append(f"{name}: other figures behind a killed worker")


def killed(count: int, seed: int, tally: WorkerTally) -> None:
    """So many disturbed calls, sweeps and evaluations in turn."""
    signal.alarm(_HANGS_SECONDS)
    processes: set[int] = set()
    with tempfile.TemporaryDirectory() as folder, snnconv.Workers(2) as pool:
        trial = PoolTrial(pool, Path(folder))
        for number in range(count):
            signal.alarm(_HANGS_SECONDS)  # what hangs ends the whole program
            trial.disturbed(("sweep", "evaluate")[number % 2], Random(f"{seed} {number}"), tally)
            processes |= {future.result() for future in [pool.submit(_number) for _ in range(4)]}
    signal.alarm(0)
    left = [process for process in processes if Path(f"/proc/{process}").exists()]
    if left:
        tally.faults.append(f"workers outlive their pool: {left}")


def _number() -> int:
    time.sleep(0.1)  # so that the other worker takes its turn, too
    return os.getpid()


def main(arguments: list[str]) -> int:
    """Kill workers in so many seconds, with results that later runs add to; 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="worker_kills", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path(".fuzz", "worker_kills.json"))
    options = parser.parse_args(arguments)
    began, tally, number = time.monotonic(), WorkerTally(), 0
    if options.results.exists():
        content = json.loads(options.results.read_text())
        if content["seed"] == options.seed:
            number, tally = content["rounds"], WorkerTally(**content["tally"])
    options.results.parent.mkdir(parents=True, exist_ok=True)
    while time.monotonic() - began < options.seconds:
        killed(4, options.seed * 1000 + number, tally)
        number += 1
        content = {"seed": options.seed, "rounds": number, "tally": asdict(tally)}
        write_whole(options.results, json.dumps(content, indent=1).encode())
    print("\n".join([f"{tally.kills} workers killed, {tally.errors} calls ended by it", *tally.faults]))
    return int(bool(tally.faults))


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1:]))
