"""The judge of class scores: an error costs the decisions that it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconv.metrics.decision_counts import DecisionCounter
from snnconv.metrics.targets import class_indices
from snnconv.spiking.decisions import class_scores, decisions

#: By how much errors are taken to be larger than measured when decisions that may change are counted.
SAFETY = 1.25


@dataclass(frozen=True)
class ClassJudge:
    """Judges class scores by the decisions that errors would change: by how much the chosen class leads the others."""

    def deviation(self, exact: Any, found: Any) -> Tensor:
        decided = class_scores(exact).argmax(1)
        return _leads(class_scores(found), decided) - _leads(class_scores(exact), decided)

    def expected_loss(self, exact: Sequence[Any], found: Sequence[Any]) -> float:
        """The share of decisions, in percent, that errors of the size measured are expected to change.

        Errors are taken as normally distributed, so that a hundred samples tell losses far below one percent apart,
        and as ``SAFETY`` times as large as they were: calibration data are often training data, on which a network is
        surer of itself than it will be. A changed decision need not be a lost one.
        """
        leads = torch.cat([_leads(class_scores(each), class_scores(each).argmax(1)) for each in exact]).double()
        errors = torch.cat([self.deviation(*pair) for pair in zip(exact, found, strict=True)]).double()
        spread = errors.square().mean().sqrt().clamp(min=1e-300)
        changes = torch.special.ndtr(-leads / (SAFETY * spread))
        return 100.0 * float(changes.sum(1).clamp(max=1.0).mean())

    def decisions(self, exact: Sequence[Any]) -> int:
        return sum(decisions(each).numel() for each in exact)

    def tally(self, decide: Callable[[Any], Tensor], ignore_index: int) -> DecisionCounter:
        """Counts the decisions that are right; targets are class indices, one for every decision."""

        def fitted(targets: Tensor, exact: Any) -> Tensor:
            return class_indices(targets, decisions(exact).shape, class_scores(exact).shape[1], ignore_index)

        return DecisionCounter(decide, decisions, fitted)


def _leads(scores: Tensor, decided: Tensor) -> Tensor:
    """By how much the class ``decided`` leads every other class, ``[decisions, classes - 1]``."""
    best = decided.unsqueeze(1)
    leads = scores.gather(1, best) - scores
    others = torch.ones_like(scores, dtype=torch.bool).scatter_(1, best, False)
    return leads.movedim(1, -1)[others.movedim(1, -1)].view(-1, scores.shape[1] - 1)
