"""Errors of values summed as a simulation goes: against targets, and against the original network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from snnconv.errors import InputError
from snnconv.metrics.judge import Judgement, TargetTally
from snnconv.metrics.step_sums import StepSums
from snnconv.metrics.targets import values
from snnconv.metrics.totals import check_alike
from snnconv.simulators.observers import Samples
from snnconv.spiking.decisions import first_output


@dataclass(frozen=True)
class ValueErrors:
    """How far values are from their targets.

    Attributes:
        relative: 2-norm of the errors in that of the targets; ``None`` where all targets are 0.
        mse: Mean squared error.
        r2: 1 less the squared errors in the squared deviations of the targets from their mean, that of every column
            (axis 1); ``None`` where the targets of every column are equal.
    """

    relative: float | None
    mse: float
    r2: float | None


@dataclass(frozen=True)
class TargetMoments:
    """Of targets: how many, the sum of their squares, means by column, and squared deviations from these in all."""

    count: int = 0
    norm2: float = 0.0
    means: tuple[float, ...] = ()
    spread: float = 0.0

    def merge(self, other: TargetMoments) -> TargetMoments:
        """Both together, to rounding. Raises ``InputError`` where columns differ."""
        if not self.count or not other.count:
            return self if self.count else other
        if len(self.means) != len(other.means):
            raise InputError(f"values in {len(self.means)} and in {len(other.means)} columns cannot be taken together")
        columns, count = len(self.means), self.count + other.count
        between = sum((a - b) ** 2 for a, b in zip(self.means, other.means, strict=True))
        share = other.count / count
        return TargetMoments(
            count,
            self.norm2 + other.norm2,
            tuple(a + (b - a) * share for a, b in zip(self.means, other.means, strict=True)),
            self.spread + other.spread + between * share * self.count / columns,
        )


@dataclass(frozen=True)
class ValueSums(Judgement):
    """Squared errors summed: ``errors2`` against targets and ``deviations2`` against the reference, after every step.

    ``reference_error2`` is that of the original against targets, ``reference_norm2`` sums the squares of its values.
    """

    has_targets: bool
    compared: bool
    targets: TargetMoments
    reference_error2: float
    reference_norm2: float
    errors2: tuple[float, ...]
    deviations2: tuple[float, ...]

    def merge(self, other: ValueSums) -> ValueSums:
        """Both together, to rounding. Raises ``InputError`` where only one has targets, or a reference."""
        check_alike(self, other, ("has_targets", "compared"))
        return ValueSums(
            self.has_targets,
            self.compared,
            self.targets.merge(other.targets),
            self.reference_error2 + other.reference_error2,
            self.reference_norm2 + other.reference_norm2,
            tuple(a + b for a, b in zip(self.errors2, other.errors2, strict=True)),
            tuple(a + b for a, b in zip(self.deviations2, other.deviations2, strict=True)),
        )

    def figures(self, streams: bool) -> dict[str, Any]:
        """Errors of both networks, and how far they are from each other."""
        errors = [self._errors(each) for each in self.errors2] if self.has_targets else None
        deviations = [_ratio(each, self.reference_norm2) for each in self.deviations2] if self.compared else None
        return {
            "judged": self.targets.count,
            "errors": None if errors is None else errors[-1],
            "reference_errors": self._errors(self.reference_error2) if self.has_targets and self.compared else None,
            "deviation": None if deviations is None else deviations[-1],
            "error_by_step": [each.relative for each in errors] if errors is not None and streams else None,
            "deviation_by_step": deviations if streams else None,
        }

    def _errors(self, error2: float) -> ValueErrors:
        targets = self.targets
        return ValueErrors(
            relative=_ratio(error2, targets.norm2) if targets.norm2 > 0.0 else None,
            mse=error2 / targets.count,
            r2=1.0 - error2 / targets.spread if targets.spread > 0.0 else None,
        )


class ValueCounter(TargetTally):
    """Squared errors of the first output after every step."""

    def __init__(self) -> None:
        self._has_targets: bool | None = None
        self._moments = TargetMoments()
        self._reference_error2 = self._reference_norm2 = 0.0
        self._sums = StepSums()

    def batch(self, exact: Any, targets: Tensor | None) -> None:
        if self._has_targets not in (None, targets is not None):
            raise InputError("data: some batches have targets and some have none")
        self._has_targets = targets is not None
        self._exact = first_output(exact).double()
        self._reference_norm2 += float(self._exact.square().sum())
        self._targets = None if targets is None else values(targets.to(self._exact.device), self._exact.shape)
        if self._targets is not None:
            self._moments = self._moments.merge(_moments(self._targets))
            self._reference_error2 += _squares(self._exact, self._targets)

    def output(self, t: int, output: Any, samples: Samples) -> None:
        self._sums.run(t, self._errors2(output, samples))

    def stopped(self, t: int, output: Any, samples: Samples) -> None:
        self._sums.stop(t, self._errors2(output, samples))

    def _errors2(self, output: Any, samples: Samples) -> tuple[float, float]:
        found = first_output(output).double()
        error2 = 0.0 if self._targets is None else _squares(found, self._targets[samples])
        return error2, _squares(found, self._exact[samples])

    def counted(self, steps: int, compared: bool) -> ValueSums:
        return ValueSums(
            bool(self._has_targets),
            compared,
            self._moments,
            self._reference_error2,
            self._reference_norm2,
            *self._sums.by_step(steps),
        )


def _moments(targets: Tensor) -> TargetMoments:
    columns = targets.movedim(1, 0).flatten(1) if targets.dim() > 1 else targets.unsqueeze(0)
    means = columns.mean(1, keepdim=True)
    return TargetMoments(
        targets.numel(), float(targets.square().sum()), tuple(means[:, 0].tolist()), _squares(columns, means)
    )


def _squares(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).square().sum())


def _ratio(part2: float, whole2: float) -> float:
    """The root of a ratio of sums of squares."""
    return math.sqrt(part2 / max(whole2, 1e-300))
