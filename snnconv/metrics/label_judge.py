"""The judge of labels that are 0 or 1 each: an error costs the labels that it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconv.metrics.decision_counts import DecisionCounter
from snnconv.metrics.expected_changes import expected_changes
from snnconv.metrics.targets import labels
from snnconv.spiking.decisions import first_output


@dataclass(frozen=True)
class LabelJudge:
    """Judges every number of the first output as a label by itself: 1 above ``threshold``, else 0.

    Args:
        threshold: 0 for a logit, one half for a probability.
    """

    threshold: float = 0.0

    def deviation(self, exact: Any, found: Any) -> Tensor:
        return first_output(found) - first_output(exact)

    def expected_loss(self, exact: Sequence[Any], found: Sequence[Any]) -> float:
        """The share of labels, in percent, that errors as measured are expected to change, a standard error added.

        See ``snnconv.metrics.expected_changes.expected_changes``.
        """
        values, others = (torch.cat([first_output(each) for each in outputs]) for outputs in (exact, found))
        return expected_changes(values, others, self.decide)

    def decisions(self, exact: Sequence[Any]) -> int:
        return sum(first_output(each).numel() for each in exact)

    def decide(self, output: Any) -> Tensor:
        """The label of every number of the first output, 0 or 1."""
        return (first_output(output) > self.threshold).long()

    def tally(self, decide: Callable[[Any], Tensor], ignore_index: int) -> DecisionCounter:
        """Counts the labels that are right; targets are 0 or 1, one for every label."""

        def fitted(targets: Tensor, exact: Any) -> Tensor:
            return labels(targets, first_output(exact).shape, ignore_index)

        return DecisionCounter(self.decide, self.decide, fitted)
