"""Clocks: which step of which sample a process is in, at a time step of Lava."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lava_runtime.journal import Page


@dataclass(frozen=True)
class StepClock:
    """A process that is ``depth`` connections behind the inputs.

    ``turn`` is a page of three numbers. Two change while nothing runs: Lava's time steps before the first step of the
    samples that run now, and how many samples these are. The third says of how many all has arrived at an output.
    """

    depth: int
    interval: int
    steps: int
    turn: Page

    @cached_property
    def _now(self) -> np.ndarray[Any, np.dtype[Any]]:
        return self.turn.mapped()

    def position(self, time_step: int) -> tuple[int, int] | None:
        """Sample and local step at Lava's ``time_step``, which counts from 1; None outside all samples."""
        before, samples = int(self._now[0]), int(self._now[1])
        elapsed = time_step - 1 - self.depth - before
        sample, step = divmod(elapsed, self.interval)
        return (sample, step) if elapsed >= 0 and step < self.steps and sample < samples else None

    def note_arrived(self, samples: int) -> None:
        """All of the first ``samples`` has arrived at an output."""
        self._now[2] = max(int(self._now[2]), samples)

    def last(self, samples: int) -> int:
        """The last time step of the last of ``samples``, counted from their first step on."""
        return (samples - 1) * self.interval + self.steps + self.depth
