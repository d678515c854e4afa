"""The judge of class scores: an error costs the decisions that it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconv.metrics.decision_counts import DecisionCounter
from snnconv.metrics.expected_changes import expected_changes
from snnconv.metrics.targets import class_indices
from snnconv.spiking.decisions import class_scores, decisions, first_output


@dataclass(frozen=True)
class ClassJudge:
    """Judges class scores by the decisions that errors would change: by how much the chosen class leads the others.

    It also compares an output that is decisions already with targets, but tells nothing of errors that change none.
    """

    def deviation(self, exact: Any, found: Any) -> Tensor:
        decided = class_scores(exact).argmax(1)
        return _leads(class_scores(found), decided) - _leads(class_scores(exact), decided)

    def expected_loss(self, exact: Sequence[Any], found: Sequence[Any]) -> float:
        """The share of decisions, in percent, that errors as measured are expected to change, a standard error added.

        See ``snnconv.metrics.expected_changes.expected_changes``. A changed decision need not be a lost one.
        """
        scores, others = (torch.cat([_by_decision(each) for each in outputs]) for outputs in (exact, found))
        return expected_changes(scores, others, lambda values: values.argmax(1))

    def decisions(self, exact: Sequence[Any]) -> int:
        return sum(decisions(each).numel() for each in exact)

    def tally(self, decide: Callable[[Any], Tensor], ignore_index: int) -> DecisionCounter:
        """Counts the decisions that are right; targets are class indices, one for every decision."""

        def fitted(targets: Tensor, exact: Any) -> Tensor:
            decided = first_output(exact)
            classes = class_scores(exact).shape[1] if decided.is_floating_point() else None
            return class_indices(targets, decisions(exact).shape, classes, ignore_index)

        return DecisionCounter(decide, decisions, fitted)


def _by_decision(output: Any) -> Tensor:
    """Class scores ``[decisions, classes]``."""
    return class_scores(output).movedim(1, -1).flatten(0, -2)


def _leads(scores: Tensor, decided: Tensor) -> Tensor:
    """By how much the class ``decided`` leads every other class, ``[decisions, classes - 1]``."""
    best = decided.unsqueeze(1)
    leads = scores.gather(1, best) - scores
    others = torch.ones_like(scores, dtype=torch.bool).scatter_(1, best, False)
    return leads.movedim(1, -1)[others.movedim(1, -1)].view(-1, scores.shape[1] - 1)
