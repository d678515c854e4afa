"""Times of works beside each other: in turns, as medians and quartiles, and refused where the machine is too noisy.

Works that are compared run in one process and take turns, so that whatever slows the machine down slows all of them; a
ratio is that of one round's times, and its median that of the rounds. Between any two turns a fixed piece of work is
timed: how much its time varies is how much the times of all others mean.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

ROUNDS = 9
#: Interquartile range of the fixed work's times, relative to their median, above which nothing is published.
MOST_NOISE = 0.10
#: A turn takes at least this long: short works are repeated within it.
LEAST_SECONDS = 0.05


class TooNoisy(RuntimeError):
    """The machine does other work, so that times mean nothing."""


@dataclass(frozen=True)
class Quartiles:
    """The median of what was measured in every round, and the quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Quartiles:
        """The spread of ``values``, of which there is at least one."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def times(self, factor: float) -> Quartiles:
        """The quartiles of ``factor`` times what was measured."""
        return Quartiles(self.median * factor, self.low * factor, self.high * factor)

    @property
    def relative(self) -> float:
        """The interquartile range in medians."""
        return (self.high - self.low) / self.median

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g}-{self.high:.3g})"


@dataclass(frozen=True)
class Turns:
    """Seconds of a call of every work, by round, and of the fixed work behind every turn."""

    seconds: Mapping[str, Sequence[float]]
    fixed: Sequence[float]
    threads: int

    def time(self, name: str) -> Quartiles:
        """Seconds of a call of the work of this name."""
        return Quartiles.of(self.seconds[name])

    def ratio(self, name: str, to: str) -> Quartiles:
        """How often the time of ``to`` goes into that of ``name``, round by round."""
        return Quartiles.of([one / other for one, other in zip(self.seconds[name], self.seconds[to], strict=True)])

    def divided(self, by: Mapping[str, int]) -> Turns:
        """Seconds of a part, where a call of a work has as many as ``by`` says; of a whole call by default."""
        seconds = {name: [each / by.get(name, 1) for each in found] for name, found in self.seconds.items()}
        return Turns(seconds, self.fixed, self.threads)

    def fastest(self, names: Iterable[str]) -> str:
        """The one of ``names`` with the least median."""
        return min(names, key=lambda name: self.time(name).median)

    @property
    def noise(self) -> float:
        """How much the fixed work's time varies: its interquartile range in medians."""
        return Quartiles.of(self.fixed).relative

    def check(self, most: float = MOST_NOISE) -> None:
        """Raise ``TooNoisy`` where the fixed work varied by more than ``most``."""
        if not self.noise <= most:
            raise TooNoisy(
                f"a fixed piece of work took {Quartiles.of([1e3 * seconds for seconds in self.fixed])} ms on "
                f"{self.threads} thread(s), an interquartile range of {100 * self.noise:.0f} % of its median, above "
                f"{100 * most:.0f} %: nothing is published; end what else runs on this machine and measure again"
            )


def in_turns(works: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> Turns:
    """Time every one of ``works`` in every round, after a call that warms it up; the round begins with another each.

    On one thread the processor's time of this process is taken, which leaves out what others take away; on several the
    wall clock's.
    """
    threads = torch.get_num_threads()
    clock = time.process_time if threads == 1 else time.perf_counter
    fixed_work = _fixed_work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    fixed: list[float] = []
    with torch.no_grad():
        calls = {name: math.ceil(LEAST_SECONDS / _seconds(work, 1, time.perf_counter)) for name, work in works.items()}
        fixed_work()
        names = list(works)
        for first in range(rounds):
            for position in range(len(names)):
                name = names[(first + position) % len(names)]
                fixed.append(_seconds(fixed_work, 1, clock))
                seconds[name].append(_seconds(works[name], calls[name], clock))
    return Turns(seconds, fixed, threads)


def fixed_alone(turns: int = 60) -> Turns:
    """The fixed work by itself, so that a machine that is too noisy is found out within a few seconds."""
    found = in_turns({"fixed": _fixed_work()}, rounds=turns)
    return Turns({}, [*found.fixed, *found.seconds["fixed"]], found.threads)


def _seconds(work: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(calls):
        work()
    return (clock() - start) / calls


def _fixed_work() -> Callable[[], object]:
    """A convolution and a map through memory, as networks are made of, for about ten milliseconds."""
    images, weights = torch.ones(8, 64, 32, 32), torch.full((64, 64, 3, 3), 0.01)
    values = torch.ones(2**20)

    def work() -> None:
        for _ in range(4):
            torch.nn.functional.conv2d(images, weights, padding=1).relu_()
            values.mul(0.5).add_(1.0)

    return work


def in_fresh_process(function: str, threads: int, **arguments: Any) -> Any:
    """What the function of this name, "package.module:name", returns in a process of its own with so many threads.

    Arguments and result go through JSON; ``Turns`` among the values of the result are given back as such. What it
    writes to standard error is seen at once.
    """
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), str(threads))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        call = "import sys; from benchmarks.timing import answer; answer(*sys.argv[1:])"
        subprocess.run(
            [sys.executable, "-c", call, function, json.dumps(arguments), str(file)],
            check=True,
            stdout=sys.stderr,  # what other libraries print is no result
            env=os.environ | counts,
        )
        return json.loads(file.read_text(), object_hook=_turns)


def answer(function: str, arguments: str, file: str) -> None:
    """The other side of ``in_fresh_process``."""
    module, _, name = function.partition(":")
    result = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    Path(file).write_text(json.dumps(result, default=asdict))


def _turns(found: dict[str, Any]) -> Any:
    return Turns(**found) if found.keys() == {"seconds", "fixed", "threads"} else found


def machine() -> str:
    """The family of this processor, and what torch uses of it, such as "x86_64 AVX512"."""
    return f"{platform.processor() or platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
