"""The judge of labels that are 0 or 1 each: an error costs the labels that it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconv.metrics.class_judge import SAFETY
from snnconv.metrics.decision_counts import DecisionCounter
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
        """The share of labels, in percent, that errors of the size measured are expected to change.

        Errors are taken as normally distributed and as larger than measured, as by ``ClassJudge``.
        """
        margins = torch.cat([(first_output(each) - self.threshold).abs().flatten() for each in exact]).double()
        errors = torch.cat([self.deviation(*pair).flatten() for pair in zip(exact, found, strict=True)]).double()
        spread = errors.square().mean().sqrt().clamp(min=1e-300)
        return 100.0 * float(torch.special.ndtr(-margins / (SAFETY * spread)).mean())

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
