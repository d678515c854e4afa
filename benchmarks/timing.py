"""Times of works beside each other: in turns, as medians and quartiles, and refused where they cannot be trusted.

Works that are compared run in one process and take turns, so that whatever slows the machine down slows all of them; a
ratio is that of one round's times, and what is published is its median over the rounds. Three things speak against it:

- What others take. A turn during which other processes, or the host of a virtual machine, took more than
  ``MOST_TAKEN`` of the processors was disturbed, and is taken again, as far as ``retakes`` reach; of a turn's times the
  one that was disturbed least counts. Of all turns at most ``MOST_DISTURBED`` may stay disturbed.
- A control. Between any two turns a fixed piece of work is timed as they are. Its time in one place of a round, divided
  by that in another, is a ratio like those that are published, and should be 1: how far it varies is what the machine
  does to ratios, be it by what no counter shows, such as neighbours in the caches or a change of clock rate. That
  the fixed work is slower in one round than in another says nothing, since ratios are of one round.
- The spread of every published ratio itself. Both have the same bound: ``MOST_ERROR`` for the standard error of a
  median over so many rounds, which more of them make smaller; the control's median has to be 1 as nearly as that.

How many rounds that takes depends on the machine: where a bound is given up to which they may be added, works take
turns until nothing speaks against their times. Spreads alone decide that, never which of two is the faster.
"""

from __future__ import annotations

import importlib
import json
import math
import operator
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.disturbance import Watch

#: Rounds of every work, and the most that they may become where more are needed to know a ratio.
ROUNDS, MOST_ROUNDS = 9, 36
#: A turn takes at least this long, so that counters of hundredths of a second tell: short works are repeated within it.
LEAST_SECONDS = 0.2
#: The part of all processors' time that others may take from a turn; the part of all turns that may stay disturbed.
MOST_TAKEN, MOST_DISTURBED = 0.10, 0.25
#: The standard error of a median over the rounds, relative to it, above which a ratio is not trusted, and the control
#: not quiet: a fall of speed by 20 % is flagged.
MOST_ERROR = 0.05
#: The standard error of a median of normal values in interquartile ranges, times the root of their number.
_ERROR_OF_MEDIAN = math.sqrt(math.pi / 2) / 1.349


class TooNoisy(RuntimeError):
    """The machine does other work, so that times mean nothing."""


@dataclass(frozen=True)
class Quartiles:
    """The median of what was measured in every one of so many rounds, and the quartiles."""

    median: float
    low: float
    high: float
    rounds: int = 1

    @classmethod
    def of(cls, values: Sequence[float]) -> Quartiles:
        """The spread of ``values``, of which there is at least one."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, len(values))

    def times(self, factor: float) -> Quartiles:
        """The quartiles of ``factor`` times what was measured."""
        return Quartiles(self.median * factor, self.low * factor, self.high * factor, self.rounds)

    @property
    def relative(self) -> float:
        """The interquartile range in medians."""
        return (self.high - self.low) / self.median

    @property
    def error(self) -> float:
        """The standard error of the median, in medians, as that of normal values with these quartiles."""
        return self.relative * _ERROR_OF_MEDIAN / math.sqrt(self.rounds)

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g}-{self.high:.3g})"


@dataclass(frozen=True)
class Turns:
    """Seconds of a call of every work, by round, and of the fixed work before every turn.

    ``disturbed`` is the part of all turns from which others took too much, however often they were taken.
    """

    seconds: Mapping[str, Sequence[float]]
    fixed: Sequence[float]
    threads: int
    disturbed: float = 0.0

    def time(self, name: str) -> Quartiles:
        """Seconds of a call of the work of this name."""
        return Quartiles.of(self.seconds[name])

    def ratio(self, name: str, to: str) -> Quartiles:
        """How often the time of ``to`` goes into that of ``name``, round by round."""
        return Quartiles.of([one / other for one, other in zip(self.seconds[name], self.seconds[to], strict=True)])

    def divided(self, by: Mapping[str, int]) -> Turns:
        """Seconds of a part, where a call of a work has as many as ``by`` says; of a whole call by default."""
        seconds = {name: [each / by.get(name, 1) for each in found] for name, found in self.seconds.items()}
        return replace(self, seconds=seconds)

    def fastest(self, names: Iterable[str]) -> str:
        """The one of ``names`` with the least median."""
        return min(names, key=lambda name: self.time(name).median)

    @property
    def control(self) -> Quartiles:
        """The fixed work's time in all places of a round, divided by that in the first: a ratio of so many rounds."""
        works = len(self.seconds)
        rounds = [self.fixed[start : start + works] for start in range(0, len(self.fixed), works)]
        found = Quartiles.of([time / each[0] for each in rounds for time in each[1:]] or [1.0])
        return replace(found, rounds=len(rounds))

    def doubts(self, *published: Mapping[str, Quartiles]) -> list[str]:
        """All that speaks against these times and the ratios in ``published``, by name."""
        reasons = []
        if not self.disturbed <= MOST_DISTURBED:
            reasons.append(
                f"other programs, or the machine's host, took over {100 * MOST_TAKEN:.0f} % of the processors from "
                f"{100 * self.disturbed:.0f} % of the turns, above {100 * MOST_DISTURBED:.0f} %"
            )
        control = self.control
        if not max(control.error, abs(control.median - 1.0)) <= MOST_ERROR:
            reasons.append(
                f"a fixed piece of work took {control} times as long as itself, which leaves the median of "
                f"{control.rounds} rounds uncertain by {100 * control.error:.0f} %, above {100 * MOST_ERROR:.0f} %"
            )
        return reasons + [
            f"{name}: {ratio} is known to {100 * ratio.error:.0f} %, not to {100 * MOST_ERROR:.0f} %"
            for ratios in published
            for name, ratio in ratios.items()
            if not ratio.error <= MOST_ERROR
        ]

    def check(self, *published: Mapping[str, Quartiles]) -> None:
        """Raise ``TooNoisy`` with all that speaks against these times and the ratios in ``published``, by name."""
        if reasons := self.doubts(*published):
            raise TooNoisy(
                "\n".join(
                    (f"on {self.threads} thread(s) nothing is published; end what else runs here, and repeat", *reasons)
                )
            )


@dataclass
class _Clock:
    """Times turns, and takes those again that were disturbed, so often in all."""

    read: Callable[[], float]
    retakes: int
    turns: int = 0
    disturbed: int = 0

    def turn(self, work: Callable[[], object], calls: int) -> float:
        """Seconds of a call, of so many in a turn."""
        found = [self._once(work, calls)]
        while found[-1][0] > MOST_TAKEN and self.retakes > 0:
            self.retakes -= 1
            found.append(self._once(work, calls))
        taken, seconds = min(found, key=operator.itemgetter(0))
        self.turns += 1
        self.disturbed += taken > MOST_TAKEN
        return seconds

    def _once(self, work: Callable[[], object], calls: int) -> tuple[float, float]:
        watch, start = Watch(), self.read()
        for _ in range(calls):
            work()
        seconds = (self.read() - start) / calls
        return watch.share_of_others(), seconds


def in_turns(
    works: Mapping[str, Callable[[], object]],
    rounds: int = ROUNDS,
    retakes: int = 0,
    until: tuple[int, Callable[[Turns], bool]] | None = None,
) -> Turns:
    """Time every one of ``works`` in every round, after calls that warm it up; the round begins with another each.

    On one thread the processor's time of this process is taken, which leaves out what others take away; on several the
    wall clock's. Disturbed turns are taken again, at most ``retakes`` times in all. With ``until``, the most rounds and
    a condition, rounds are added while the condition does not hold.
    """
    threads = torch.get_num_threads()
    clock = _Clock(time.process_time if threads == 1 else time.perf_counter, retakes)
    fixed_work = _fixed_work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    fixed: list[float] = []
    most_rounds, enough = until or (rounds, lambda turns: True)
    with torch.no_grad():
        calls = {name: _calls(work) for name, work in works.items()}
        fixed_calls = _calls(fixed_work)
        names = list(works)
        for first in range(most_rounds):
            for position in range(len(names)):
                name = names[(first + position) % len(names)]
                fixed.append(clock.turn(fixed_work, fixed_calls))
                seconds[name].append(clock.turn(works[name], calls[name]))
            found = Turns(seconds, fixed, threads, clock.disturbed / clock.turns)
            if first + 1 >= rounds and enough(found):
                break
    return found


def fixed_alone() -> Turns:
    """The fixed work by itself, so that a machine that is too noisy is found out within a minute."""
    works = {str(place): _fixed_work() for place in range(4)}
    return in_turns(works, until=(MOST_ROUNDS, lambda turns: not turns.doubts()))


def _calls(work: Callable[[], object]) -> int:
    """Calls that a turn takes, by the second one: the first, which compiles and prepares, warms the work up."""
    work()
    start = time.perf_counter()
    work()
    return math.ceil(LEAST_SECONDS / (time.perf_counter() - start))


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
    return Turns(**found) if found.keys() == {"seconds", "fixed", "threads", "disturbed"} else found
