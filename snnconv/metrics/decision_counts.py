"""Decisions counted as a simulation goes: how many are right, and how many are those of the original network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from snnconv.data.batches import IGNORED_TARGET
from snnconv.errors import InputError
from snnconv.metrics.totals import check_alike, summed_counts
from snnconv.simulators.observers import Observer, Samples
from snnconv.spiking.decisions import UNDECIDED, decisions


@dataclass(frozen=True)
class DecisionCounts:
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


class DecisionCounter(Observer):
    """Correct and agreeing decisions after every step; a sample that stopped keeps its last decision.

    ``decide`` says what a decoded output decides; ``UNDECIDED`` is never right.
    """

    wants_output = True

    def __init__(self, decide: Callable[[Any], Tensor] = decisions) -> None:
        self.decide = decide
        self.judged = self.decided = self.reference_correct = 0
        self.has_targets: bool | None = None
        # Per step: decisions of running samples, and decisions that are final from this step on.
        self._running: list[list[int]] = []
        self._final: list[list[int]] = []

    def batch(self, reference: Tensor, targets: Tensor | None) -> None:
        """Start a batch with the decisions of the reference and the targets."""
        if self.has_targets not in (None, targets is not None):
            raise InputError("data: some batches have targets and some have none")
        self.has_targets = targets is not None
        if targets is not None and (targets.is_floating_point() or targets.is_complex()):
            raise InputError(f"data: targets are {targets.dtype}; they must be class indices, which are integers")
        if targets is not None and targets.shape != reference.shape:
            raise InputError(
                f"data: targets have shape {list(targets.shape)}, decisions have {list(reference.shape)}; "
                "targets are class indices"
            )
        self._reference = reference
        self._targets = torch.full_like(reference, IGNORED_TARGET) if targets is None else targets.to(reference)
        counted = self._targets != IGNORED_TARGET
        self.decided += reference.numel()
        self.judged += int(counted.sum())
        self.reference_correct += int((reference == self._targets)[counted].sum())

    def output(self, t: int, output: Any, samples: Samples) -> None:
        self._count(self._running, t, output, samples)

    def stopped(self, t: int, output: Any, samples: Samples) -> None:
        self._count(self._final, t + 1, output, samples)

    def _count(self, table: list[list[int]], t: int, output: Any, samples: Samples) -> None:
        while len(table) <= t:
            table.append([0, 0])
        decided = self.decide(output)
        table[t][0] += int(((decided == self._targets[samples]) & (decided != UNDECIDED)).sum())
        table[t][1] += int((decided == self._reference[samples]).sum())

    def counted(self, steps: int, compared: bool) -> DecisionCounts:
        """What was counted in a run of ``steps`` steps; ``compared`` says whether there was a reference."""
        # Where every sample stopped early, the rest of the time stays as it was.
        by_step = self.by_step()
        by_step += by_step[-1:] * (steps - len(by_step))
        correct, agreeing = zip(*by_step, strict=True)
        return DecisionCounts(
            bool(self.has_targets), compared, self.judged, self.decided, self.reference_correct, correct, agreeing
        )

    def by_step(self) -> list[tuple[int, int]]:
        """Correct and agreeing decisions after every step."""
        found, correct, agreeing = [], 0, 0
        for running, final in zip_longest(self._running, self._final, fillvalue=[0, 0]):
            correct, agreeing = correct + final[0], agreeing + final[1]
            found.append((running[0] + correct, running[1] + agreeing))
        return found[: len(self._running)]
