"""What a search aims at, and judges: what an error of the output costs where there are no targets to go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, get_args

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError
from snnconv.spiking.decisions import class_scores, decisions
from snnconv.spiking.logs import Cost

#: By how much errors are taken to be larger than measured when decisions that may change are counted.
SAFETY = 1.25


class Judge(Protocol):
    """Compares outputs of a spiking network with those of the original on the same samples."""

    def deviation(self, exact: Any, found: Any) -> Tensor:
        """Numbers whose mean square grows with what is lost by ``found`` instead of ``exact``."""
        ...

    def expected_loss(self, exact: Sequence[Any], found: Sequence[Any]) -> float:
        """The expected loss in percentage points, given outputs chunk by chunk."""
        ...

    def decisions(self, exact: Sequence[Any]) -> int:
        """How many decisions of the original, or objects that it finds, the loss is a share of."""
        ...


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


@dataclass(frozen=True)
class Goal:
    """The least ``minimize`` of all networks that are expected to lose at most ``max_loss`` points by ``judge``.

    Raises ``ConfigurationError``.
    """

    max_loss: float = 0.5
    minimize: Cost = "energy"
    judge: Judge = field(default_factory=ClassJudge)

    def __post_init__(self) -> None:
        if self.minimize not in get_args(Cost):
            raise ConfigurationError(f"minimize must be one of {', '.join(get_args(Cost))}, got {self.minimize!r}")
        if not 0.0 < self.max_loss < 100.0:
            raise ConfigurationError(
                f"max_loss is in percentage points and must lie in (0, 100), got {self.max_loss!r}"
            )


def _leads(scores: Tensor, decided: Tensor) -> Tensor:
    """By how much the class ``decided`` leads every other class, ``[decisions, classes - 1]``."""
    best = decided.unsqueeze(1)
    leads = scores.gather(1, best) - scores
    others = torch.ones_like(scores, dtype=torch.bool).scatter_(1, best, False)
    return leads.movedim(1, -1)[others.movedim(1, -1)].view(-1, scores.shape[1] - 1)
