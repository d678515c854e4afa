"""One spike per window, worth what a table holds for the cell that the potential lies in: any function of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from coding.neural_code import Code
from coding.window.closed_form import WindowTable, trains
from coding.window.rounding import thresholds_of
from coding.window.window_code import WindowCode, table_of

#: Most cells of a table that stands for another code: codes of several spikes tell more values apart than they have
#: steps, and finer tables gain little.
_MOST_CELLS = 32


@dataclass(frozen=True)
class FunctionTable(WindowCode):
    """Single-spike code of populations that compute a function that no other neuron computes, such as SiLU.

    A neuron fires at the first step whose threshold its potential reaches, a spike worth what a table holds for this
    step, of either sign. Every channel has a table of its own, so tables belong to the population (see
    ``neurons.TableLookup``); the code by itself is that of the identity with even levels.

    Args:
        steps: Time steps of a window: the number of cells, beside silence.

    Raises:
        ConfigurationError: ``steps`` is no integer of at least 1.
    """

    steps: int = 32

    name: ClassVar[str] = "function-table"

    @property
    def limit(self) -> int:
        return 1

    @property
    def maximum(self) -> float:
        return 1.0

    def table(self) -> WindowTable:
        levels = tuple((self.steps - t) / self.steps for t in range(self.steps))
        return WindowTable(levels, thresholds_of(levels, 1, "lookahead"), 1)


def table_for(asked: Code) -> FunctionTable:
    """The table that a function needs where ``asked`` is the code of its network.

    It has as many cells as a single-spike code has steps, and as any other code tells values apart, 32 at most.
    """
    if isinstance(asked, FunctionTable):
        return asked
    if asked.limit == 1:
        return FunctionTable(asked.steps)
    if not isinstance(asked, WindowCode) or asked.free_parameter is not None:
        return FunctionTable(min(_MOST_CELLS, 2**asked.steps))
    fired = (train for train in trains(table_of(asked), 0.0) if train.spikes)
    return FunctionTable(max(1, sum(1 for _, train in zip(range(_MOST_CELLS), fired, strict=False))))
