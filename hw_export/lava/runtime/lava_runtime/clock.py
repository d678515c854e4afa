"""Clocks: which step of which sample a process is in, at a time step of Lava."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepClock:
    """A process that is ``depth`` connections behind the inputs, in a run of ``samples`` samples."""

    depth: int
    interval: int
    steps: int
    samples: int

    def position(self, time_step: int) -> tuple[int, int] | None:
        """Sample and local step at Lava's ``time_step``, which counts from 1; None outside all samples."""
        elapsed = time_step - 1 - self.depth
        sample, step = divmod(elapsed, self.interval)
        return (sample, step) if elapsed >= 0 and step < self.steps and sample < self.samples else None

    @property
    def last(self) -> int:
        """The last time step of the last sample."""
        return (self.samples - 1) * self.interval + self.steps + self.depth
