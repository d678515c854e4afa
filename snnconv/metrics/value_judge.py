"""The judge of values, such as those of a regression: an error costs its size relative to that of the values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from snnconv.errors import InputError
from snnconv.metrics.value_errors import ValueCounter

_LEAST = 1e-300


@dataclass(frozen=True)
class ValueJudge:
    """Judges values by their relative error: the 2-norm of what ``found`` is off by, in that of the values.

    One percentage point of loss is an error of one percent. Every output of a network that has several counts alike.
    """

    def deviation(self, exact: Any, found: Any) -> Tensor:
        pairs = zip(_values(exact), _values(found), strict=True)
        return torch.cat([((f - e) / e.square().mean().sqrt().clamp(min=_LEAST)).flatten() for e, f in pairs])

    def expected_loss(self, exact: Sequence[Any], found: Sequence[Any]) -> float:
        """The relative error in percent."""
        errors2 = norms2 = torch.zeros(len(_values(exact[0])), dtype=torch.float64, device=_values(exact[0])[0].device)
        for one, other in zip(exact, found, strict=True):
            pairs = [*zip(_values(one), _values(other), strict=True)]
            errors2 = errors2 + torch.stack([(f - e).square().sum() for e, f in pairs])
            norms2 = norms2 + torch.stack([e.square().sum() for e, _ in pairs])
        return 100.0 * float((errors2 / norms2.clamp(min=_LEAST)).mean().sqrt())

    def decisions(self, exact: Sequence[Any]) -> int:
        """0: the loss is no share of decisions."""
        for each in exact:
            _values(each)
        return 0

    def tally(self, decide: Callable[[Any], Tensor], ignore_index: int) -> ValueCounter:
        """Sums the errors of the first output; targets are numbers, one for every value, and all of them count."""
        return ValueCounter()


def _values(output: Any) -> list[Tensor]:
    """All outputs that are values, in double precision."""
    found = [leaf.double() for leaf in tree_leaves(output) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    if not found:
        raise InputError("the network puts out no real values, so no error of values can be measured")
    return found
