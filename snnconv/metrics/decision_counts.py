"""Decisions counted as a simulation goes: how many are right, and how many are those of the original network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconv.data.batches import IGNORED_TARGET
from snnconv.errors import InputError
from snnconv.metrics.judge import Judgement, TargetTally
from snnconv.metrics.step_sums import StepSums
from snnconv.metrics.totals import check_alike, summed_counts
from snnconv.simulators.observers import Samples
from snnconv.spiking.decisions import UNDECIDED


@dataclass(frozen=True)
class DecisionCounts(Judgement):
    """Decisions counted: ``correct`` and ``agreeing`` (with the original network) after every step.

    ``judged`` of all ``decided`` have a target; of these ``reference_correct`` are right in the original network.
    """

    has_targets: bool
    compared: bool
    judged: int
    decided: int
    reference_correct: int
    correct: tuple[int, ...]
    agreeing: tuple[int, ...]

    def merge(self, other: DecisionCounts) -> DecisionCounts:
        """Both together. Raises ``InputError`` where only one has targets, or a reference."""
        check_alike(self, other, ("has_targets", "compared"))
        return DecisionCounts(
            self.has_targets,
            self.compared,
            self.judged + other.judged,
            self.decided + other.decided,
            self.reference_correct + other.reference_correct,
            summed_counts(self.correct, other.correct),
            summed_counts(self.agreeing, other.agreeing),
        )

    def figures(self, streams: bool) -> dict[str, Any]:
        """Accuracies and agreement, in percent."""
        judged = self.has_targets and self.judged > 0
        accuracies = [100.0 * correct / self.judged for correct in self.correct] if judged else None
        agreements = [100.0 * agreeing / self.decided for agreeing in self.agreeing] if self.compared else None
        return {
            "judged": self.judged,
            "accuracy": None if accuracies is None else accuracies[-1],
            "reference_accuracy": 100.0 * self.reference_correct / self.judged if judged and self.compared else None,
            "agreement": None if agreements is None else agreements[-1],
            "accuracy_by_step": accuracies if streams else None,
            "agreement_by_step": agreements if streams else None,
        }


class DecisionCounter(TargetTally):
    """Correct and agreeing decisions after every step.

    ``decide`` says what an output decides, ``decide_reference`` what that of the original does; ``UNDECIDED`` is never
    right. ``fitted`` makes targets in the form of decisions of them, for an output of the reference.
    """

    def __init__(
        self,
        decide: Callable[[Any], Tensor],
        decide_reference: Callable[[Any], Tensor],
        fitted: Callable[[Tensor, Any], Tensor],
    ) -> None:
        self._decide, self._decide_reference, self._fitted = decide, decide_reference, fitted
        self._judged = self._decided = self._reference_correct = 0
        self._has_targets: bool | None = None
        self._sums = StepSums()

    def batch(self, exact: Any, targets: Tensor | None) -> None:
        if self._has_targets not in (None, targets is not None):
            raise InputError("data: some batches have targets and some have none")
        self._has_targets = targets is not None
        self._reference = reference = self._decide_reference(exact)
        nothing = torch.full_like(reference, IGNORED_TARGET)
        self._targets = nothing if targets is None else self._fitted(targets, exact).to(reference)
        counted = self._targets != IGNORED_TARGET
        self._decided += reference.numel()
        self._judged += int(counted.sum())
        self._reference_correct += int((reference == self._targets)[counted].sum())

    def output(self, t: int, output: Any, samples: Samples) -> None:
        self._sums.run(t, self._counts(output, samples))

    def stopped(self, t: int, output: Any, samples: Samples) -> None:
        self._sums.stop(t, self._counts(output, samples))

    def _counts(self, output: Any, samples: Samples) -> tuple[int, int]:
        decided = self._decide(output)
        correct = (decided == self._targets[samples]) & (decided != UNDECIDED)
        return int(correct.sum()), int((decided == self._reference[samples]).sum())

    def counted(self, steps: int, compared: bool) -> DecisionCounts:
        correct, agreeing = (tuple(int(count) for count in counts) for counts in self._sums.by_step(steps))
        return DecisionCounts(
            bool(self._has_targets), compared, self._judged, self._decided, self._reference_correct, correct, agreeing
        )
