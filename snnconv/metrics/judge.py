"""What a judge promises: it says what an error of the output costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self, runtime_checkable

from torch import Tensor

from snnconv.simulators.observers import Observer


class Judge(Protocol):
    """Compares outputs of a spiking network with those of the original on the same samples.

    Every method raises ``InputError`` for an output that the judge cannot judge.
    """

    def deviation(self, exact: Any, found: Any) -> Tensor:
        """Numbers whose mean square grows with what is lost by ``found`` instead of ``exact``."""
        ...

    def expected_loss(self, exact: Sequence[Any], found: Sequence[Any]) -> float:
        """The expected loss in percentage points, given outputs chunk by chunk."""
        ...

    def decisions(self, exact: Sequence[Any]) -> int:
        """How many decisions of the original, or objects that it finds, the loss is a share of; 0 where it is none."""
        ...


@runtime_checkable
class TargetJudge(Judge, Protocol):
    """A judge that also compares outputs with targets, so that ``evaluate`` can measure by it."""

    def tally(self, decide: Callable[[Any], Tensor], ignore_index: int) -> TargetTally:
        """What counts while a network runs that decides between classes by ``decide``.

        Integer targets of ``ignore_index`` are left out.
        """
        ...


class Judgement(ABC):
    """What a judge found on a data set, as plain sums that parts of the data are merged by."""

    @abstractmethod
    def merge(self, other: Self) -> Self:
        """Both together. Raises ``InputError`` where they do not belong to one measurement."""

    @abstractmethod
    def figures(self, streams: bool) -> dict[str, Any]:
        """The attributes of an ``Evaluation`` that follow; those by step for ``streams`` alone."""


class TargetTally(Observer, ABC):
    """Judges decoded outputs as a simulation goes; a sample that stopped early keeps its last output."""

    wants_output = True

    @abstractmethod
    def batch(self, exact: Any, targets: Tensor | None) -> None:
        """Start a batch with the output of the reference and the targets; raises ``InputError`` where they misfit."""

    @abstractmethod
    def counted(self, steps: int, compared: bool) -> Judgement:
        """What was found in a run of ``steps`` steps; ``compared`` says whether there was a reference."""
