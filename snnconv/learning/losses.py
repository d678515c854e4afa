"""Losses on output spikes: on the time of the first, on their number, and on the whole train."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from snnconv.errors import ConfigurationError, InputError
from snnconv.learning.layer import Spikes


class SpikeLoss(Protocol):
    """A loss of output spikes ``[T, N, classes]`` under targets, a scalar that gradients flow back from."""

    def __call__(self, spikes: Spikes, targets: Tensor) -> Tensor:
        """The loss, a mean over samples."""
        ...


def first_spikes(events: Tensor) -> Tensor:
    """Step of every neuron's first spike, ``[N, n]`` int64, for ``events`` ``[T, N, n]``; T where there is none."""
    fired, step = events.detach().max(0)
    return torch.where(fired > 0, step, len(events))


@dataclass(frozen=True)
class LatencyLoss:
    """Cross entropy of how early each output fires first (Kim, Kim and Kim 2020, section 4).

    A logit is ``sharpness`` times the steps from an output's first spike to the end of the simulation, which is the
    step at which every output of every sample has fired; 0 for a silent output. ``silent_penalty`` times the share of
    samples whose target never fired is added, with a gradient that raises the target's potential at every step. A
    target that fires at all leaves nothing to activation gradients. ``targets`` are classes ``[N]``. Raises
    ``ConfigurationError`` for a number out of range, ``InputError`` for other targets.
    """

    sharpness: float = 1.0 / 6.0
    silent_penalty: float = 0.1

    def __post_init__(self) -> None:
        if not (0.0 < self.sharpness < math.inf and 0.0 <= self.silent_penalty < math.inf):
            raise ConfigurationError(
                f"LatencyLoss: sharpness must be positive and silent_penalty 0 or more, both finite, got "
                f"{self.sharpness!r} and {self.silent_penalty!r}"
            )

    def __call__(self, spikes: Spikes, targets: Tensor) -> Tensor:
        check_classes(targets, spikes.events)
        first = first_spikes(spikes.events)
        steps = len(spikes.events)
        silent = first == steps
        end = min(int(first.max()) + 1, steps)
        # The times carry the gradient to the spikes they belong to.
        times = spikes.times.gather(0, first.clamp(max=steps - 1).unsqueeze(0)).squeeze(0)
        logits = torch.where(silent, 0.0, self.sharpness * (end - times))
        loss = functional.cross_entropy(logits, targets)
        missing = silent.gather(1, targets.unsqueeze(1)).squeeze(1).to(logits.dtype)
        fired = spikes.events.sum(0).gather(1, targets.unsqueeze(1)).squeeze(1)
        return loss + self.silent_penalty * (missing * (1.0 - fired)).mean()


@dataclass(frozen=True)
class CountLoss:
    """Squared distance of spike counts to those wanted, over steps and samples (Kim, Kim and Kim 2020, section 4).

    ``target`` spikes are wanted of the class's output, ``others`` of the rest. ``targets`` are classes ``[N]``. Raises
    ``ConfigurationError`` for counts below 0, ``InputError`` for other targets.
    """

    target: float = 1.0
    others: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.target < math.inf and 0.0 <= self.others < math.inf):
            raise ConfigurationError(
                f"CountLoss: counts must be finite and 0 or more, got {self.target!r} and {self.others!r}"
            )

    def __call__(self, spikes: Spikes, targets: Tensor) -> Tensor:
        check_classes(targets, spikes.events)
        counts = spikes.events.sum(0)
        wanted = torch.full_like(counts, self.others).scatter_(1, targets.unsqueeze(1), self.target)
        return (counts - wanted).square().sum() / (len(spikes.events) * len(targets))


@dataclass(frozen=True)
class SpikeTrainLoss:
    """Squared distance of filtered trains, over steps and samples (Kim, Kim and Kim 2020, section 4).

    Both trains pass kappa[k] = ``decay``**k, ``extension`` steps beyond the end. ``targets`` are trains
    ``[T, N, n]`` of 0 and 1, as ``TrainSamples`` has them. Moving a spike is charged by the central difference of
    kappa. Raises ``ConfigurationError`` for a decay outside (0, 1), ``InputError`` for targets of another shape.
    """

    decay: float = 0.9
    extension: int = 200

    def __post_init__(self) -> None:
        if not 0.0 < self.decay < 1.0 or self.extension < 0:
            raise ConfigurationError(
                f"SpikeTrainLoss: decay must lie in (0, 1) and extension be 0 or more, got {self.decay!r} and "
                f"{self.extension!r}"
            )

    def __call__(self, spikes: Spikes, targets: Tensor) -> Tensor:
        events = spikes.events
        if targets.shape != events.shape:
            raise InputError(
                f"targets are {targets.dtype} {list(targets.shape)}; SpikeTrainLoss needs the trains wanted of the "
                f"output, {list(events.shape)}, as TrainSamples has them"
            )
        steps, horizon = len(events), len(events) + self.extension
        # One entry more than the filters take: the central difference looks one step ahead.
        kernel = self.decay ** torch.arange(horizon + 1, dtype=events.dtype, device=events.device)
        # filters[t, u]: what a spike at step t adds to the filtered train at step u.
        lag = torch.arange(horizon, device=events.device) - torch.arange(steps, device=events.device).unsqueeze(1)
        filters = torch.where(lag >= 0, kernel[lag.clamp(min=0)], 0.0)
        difference = torch.einsum("tu,tni->uni", filters, events - targets.to(events.dtype))
        loss = difference.square().sum() / (steps * events.shape[1])
        later = torch.where(lag >= -1, kernel[(lag + 1).clamp(min=0)], 0.0)
        earlier = torch.where(lag >= 1, kernel[(lag - 1).clamp(min=0)], 0.0)
        by_time = torch.einsum("tu,uni->tni", (later - earlier) / 2.0, difference.detach())
        by_time *= -2.0 / (steps * events.shape[1])
        # Worth nothing, but its gradient by the times is what moving a spike costs.
        return loss + (by_time * (spikes.times - spikes.times.detach())).sum()


def check_classes(targets: Tensor, events: Tensor) -> None:
    """Raise ``InputError`` unless ``targets`` are one class of the output ``events`` ``[T, N, classes]`` a sample."""
    samples, classes = events.shape[1:]
    if targets.dtype != torch.int64 or targets.shape != (samples,):
        raise InputError(
            f"targets are {targets.dtype} {list(targets.shape)}; {samples} samples need torch.int64 [{samples}]"
        )
    if bool(((targets < 0) | (targets >= classes)).any()):
        wrong = targets[(targets < 0) | (targets >= classes)][0]
        raise InputError(f"a target is class {int(wrong)}; the network has classes 0 to {classes - 1}")
