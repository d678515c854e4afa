"""What a judge promises: it says what an error of the output costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor


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
