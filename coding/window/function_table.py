"""One spike or two in a window, worth what a table holds for the cell of the potential: any function of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from coding.errors import ConfigurationError
from coding.neural_code import Code
from coding.window.closed_form import WindowTable
from coding.window.rounding import thresholds_of
from coding.window.window_code import WindowCode

#: Most values that a table tells apart which stands for another code.
_MOST_VALUES = 256


@dataclass(frozen=True)
class FunctionTable(WindowCode):
    """Code of populations that compute a function that no other neuron computes, such as SiLU.

    A neuron fires at the first step whose threshold its potential reaches: the step names the cell that the potential
    lies in, and a table holds what the spike is worth, of either sign. With two spikes the first half of the window
    names the cell and the second half the place in it, by a straight line through the function there. Every channel
    has a table of its own, so tables belong to the population (see ``neurons.TableLookup``); the code by itself is
    that of the identity with even levels.

    Args:
        steps: Time steps of a window. With one spike the number of cells, beside silence.
        spikes: Most spikes of a window, 1 or 2. Two tell about ``(steps + 1)**2 / 4`` values apart.

    Raises:
        ConfigurationError: ``steps`` is no integer of at least 1, ``spikes`` neither 1 nor 2, or too many for the
            steps.
    """

    steps: int = 32
    spikes: Literal[1, 2] = 1

    name: ClassVar[str] = "function-table"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.spikes not in (1, 2) or self.spikes > self.steps:
            raise ConfigurationError(
                f"FunctionTable: spikes must be 1 or 2, and no more than the {self.steps} steps, got {self.spikes!r}"
            )

    @property
    def cells(self) -> int:
        """Steps that name a cell; the others name the place in it."""
        return self.steps if self.spikes == 1 else (self.steps + 1) // 2

    @property
    def limit(self) -> int:
        return self.spikes

    @property
    def payloads(self) -> None:
        return None

    @property
    def maximum(self) -> float:
        return self.table().largest

    def table(self) -> WindowTable:
        fine = self.steps - self.cells
        coarse_levels = tuple((self.cells - t) / self.cells for t in range(self.cells))
        levels = coarse_levels + tuple((fine - t) / (self.cells * (fine + 1)) for t in range(fine))
        return WindowTable(levels, thresholds_of(levels, self.spikes, "lookahead"), self.spikes)


def table_for(asked: Code) -> FunctionTable:
    """The table that a function needs where ``asked`` is the code of its network: as fine, and with as few spikes.

    Of a single-spike code it has the steps; of any other code it tells as many values apart, up to 256, by two spikes.
    """
    if isinstance(asked, FunctionTable):
        return asked
    if asked.limit == 1:
        return FunctionTable(asked.steps)
    most = asked.steps if asked.limit is None else asked.limit
    trains = sum(math.comb(asked.steps, fired) for fired in range(most + 1)) if asked.steps < 64 else _MOST_VALUES
    alike = asked.free_parameter is None and len({*(asked.payloads or ())}) == 1  # what is fitted makes them differ
    values = min(_MOST_VALUES, asked.steps if alike else trains)
    return FunctionTable(max(2, 2 * math.ceil(math.sqrt(values)) - 1), spikes=2)


def cells_of(code: Code) -> int:
    """Steps of a window that name a cell of a table; 0 for a code that is no table."""
    return code.cells if isinstance(code, FunctionTable) else 0
