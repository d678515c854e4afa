"""Learning rates of a training: constant, a warm-up with a cosine behind it, or a scheduler of torch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

#: Part of the steps in which the learning rate rises: the first gradients know little about their own size.
WARM_UP = 0.05


class LearningRates:
    """The optimiser's own learning rates, and the places at which others may set them."""

    def before_step(self, optimizer: Optimizer, step: int, steps: int) -> None:
        """Set the rates of ``step``, from 0, of all ``steps``."""

    def after_epoch(self, loss: float) -> None:
        """Set the rates of the next epoch; the one that has ended had the mean ``loss``."""

    def replay(self, losses: Sequence[float]) -> None:
        """Come to the rates behind epochs of these ``losses``, which were read from a checkpoint."""


@dataclass(frozen=True)
class WarmUpCosine(LearningRates):
    """Rises to ``highest`` over the first twentieth of all steps, then falls along a cosine.

    With n steps from the highest rate on, step t of them has the rate of ``torch.optim.lr_scheduler.CosineAnnealingLR``
    with ``T_max=n``: the part ``last`` of the highest would come one step behind the last, so that no step is lost to a
    rate of 0.
    """

    highest: float
    last: float = 0.0

    def rate(self, step: int, steps: int) -> float:
        """The learning rate in ``step``, from 0, of ``steps``."""
        warm = max(1, round(WARM_UP * steps))
        if step < warm:
            return self.highest * ((step + 1) / warm)
        fall = 0.5 * (1.0 + math.cos(math.pi * (step - warm + 1) / (steps - warm + 1)))
        return self.highest * (self.last + (1.0 - self.last) * fall)

    def before_step(self, optimizer: Optimizer, step: int, steps: int) -> None:
        for group in optimizer.param_groups:
            group["lr"] = self.rate(step, steps)


class Scheduled(LearningRates):
    """Those of a torch ``scheduler`` that advances once an epoch."""

    def __init__(self, scheduler: LRScheduler) -> None:
        self.scheduler = scheduler

    def after_epoch(self, loss: float) -> None:
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(loss)
        else:
            self.scheduler.step()

    def replay(self, losses: Sequence[float]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the optimiser has made its steps in another process
            for loss in losses:
                self.after_epoch(loss)
