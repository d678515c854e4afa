"""Schedules: when each population of a network is active, and when the output is known."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from coding.errors import ConfigurationError


@dataclass(frozen=True)
class Schedule(ABC):
    """When populations run: all at once (``Concurrent``) or one after the other (``Pipeline``)."""

    name: ClassVar[str]

    @property
    def papers(self) -> tuple[str, ...]:
        """The papers that it is from, by their keys in the bibliography."""
        return ()


@dataclass(frozen=True)
class Concurrent(Schedule):
    """All populations run at once, and every one of ``steps`` time steps carries an estimate of the output.

    Args:
        steps: Time steps of a simulation.

    Raises:
        ConfigurationError: ``steps`` is no integer of at least 1.
    """

    steps: int

    name: ClassVar[str] = "concurrent"

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise ConfigurationError(f"Concurrent: steps must be an integer of at least 1, got {self.steps!r}")


@dataclass(frozen=True)
class Timing:
    """Windows of a pipeline: when every source of spikes fires, and when the output is known.

    Attributes:
        starts: First step of the window, by source.
        lengths: Number of steps of the window, by source.
        listens: Steps in which a source of the population fires before its own window, by population.
        latency: Time steps until the output is known.
        closed: Whether every population starts to fire when all its sources have ended, so that a window is a function
            of a sum.
    """

    starts: Mapping[str, int]
    lengths: Mapping[str, int]
    listens: Mapping[str, int]
    latency: int
    closed: bool

    def end(self, name: str) -> int:
        """The step behind the window of ``name``."""
        return self.starts[name] + self.lengths[name]


@dataclass(frozen=True)
class Pipeline(Schedule):
    """A population fires in a window of its own, ``stride`` steps after its latest source began to fire.

    Args:
        stride: ``None`` waits for the end of the source's window, where a window is a function of its summed input. A
            smaller stride is early firing (T2FSNN, Park et al. 2020): populations start on what has arrived by then.

    Raises:
        ConfigurationError: ``stride`` is neither ``None`` nor an integer of at least 1.
    """

    stride: int | None = None

    name: ClassVar[str] = "pipeline"

    @property
    def papers(self) -> tuple[str, ...]:
        return () if self.stride is None else ("park2020t2fsnn",)

    def __post_init__(self) -> None:
        integer = isinstance(self.stride, int) and not isinstance(self.stride, bool) and self.stride >= 1
        if self.stride is not None and not integer:
            raise ConfigurationError(f"Pipeline: stride must be None or an integer from 1, got {self.stride!r}")

    def timing(self, sources: Mapping[str, Sequence[str]], lengths: Mapping[str, int], output: Iterable[str]) -> Timing:
        """Windows of all names in ``lengths``, given who feeds whom (in order of execution) and feeds the ``output``.

        A name without sources starts at step 0, so an analog input takes no window.
        """
        starts: dict[str, int] = {}
        listens: dict[str, int] = {}
        closed = True
        for name in lengths:
            feeding = [source for source in sources.get(name, ()) if source in lengths]
            starts[name] = max((starts[s] + self._advance(lengths[s]) for s in feeding), default=0)
            heard = {step for s in feeding for step in range(starts[s], min(starts[s] + lengths[s], starts[name]))}
            listens[name] = len(heard)
            closed &= all(starts[s] + lengths[s] <= starts[name] for s in feeding)
        latency = max((starts[s] + lengths[s] for s in output if s in lengths), default=0)
        return Timing(starts, dict(lengths), listens, latency, closed)

    def _advance(self, length: int) -> int:
        return length if self.stride is None else min(self.stride, length)


SCHEDULES: dict[str, type[Schedule]] = {Concurrent.name: Concurrent, Pipeline.name: Pipeline}
