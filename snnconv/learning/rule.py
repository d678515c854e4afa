"""The three gradient rules as one family: spikes that come and go, spikes that move, and both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError

RuleName = Literal["activation", "timing", "antlr"]
RULES: tuple[RuleName, ...] = ("activation", "timing", "antlr")


@dataclass(frozen=True)
class GradientRule:
    """How a loss reaches a membrane potential V through its spike S (Kim, Kim and Kim 2020, section 3).

    The activation gradient treats a spike's existence as differentiable: ``activation_weight`` times dL/dS times the
    surrogate ``surrogate_height`` exp(-``surrogate_slope`` abs(V - 1)), at every step. The timing gradient is
    ``timing_weight`` times -dL/dT / V', at spikes only, with V' the rise of the potential since the step before, at
    least ``clamp``. ``rule`` is "activation", "timing", or "antlr" for their sum. ``silent_push`` adds its share to
    every incoming weight of a neuron that stays silent, divided by the number of inputs and multiplied by the share of
    samples without a spike; timing gradients alone never wake a neuron, and 100 was published with them.

    Raises ``ConfigurationError`` for an unknown rule or a number out of range.
    """

    rule: RuleName = "antlr"
    activation_weight: float = 1.0
    timing_weight: float = 1.0
    clamp: float = 1e-2
    surrogate_height: float = 1.0
    surrogate_slope: float = 3.0
    silent_push: float = 0.0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ConfigurationError(f"rule must be one of {', '.join(RULES)}, got {self.rule!r}")
        for name in ("clamp", "surrogate_height", "surrogate_slope"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigurationError(f"GradientRule: {name} must be positive, got {value!r}")
        for name in ("activation_weight", "timing_weight", "silent_push"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ConfigurationError(f"GradientRule: {name} must be 0 or more, got {value!r}")

    @property
    def of_activation(self) -> bool:
        """Whether the existence of spikes carries gradients."""
        return self.rule != "timing"

    @property
    def of_timing(self) -> bool:
        """Whether the time of spikes carries gradients."""
        return self.rule != "activation"

    def surrogate(self, potential: Tensor) -> Tensor:
        """The derivative that stands in for that of the step function at ``potential``, any shape."""
        distance = (potential - 1.0).abs_()
        return distance.mul_(-self.surrogate_slope).exp_().mul_(self.surrogate_height)

    def rise(self, events: Tensor, potential: Tensor) -> Tensor:
        """V' ``[T, N, n]`` before the clamp: V[t] - (1 - S[t-1]) V[t-1], the potential being 0 before step 0."""
        rise = potential.clone()
        rise[1:] -= potential[:-1] * (1.0 - events[:-1])
        return rise

    def potential_gradient(
        self, events: Tensor, potential: Tensor, of_events: Tensor | None, of_times: Tensor | None
    ) -> Tensor:
        """G ``[T, N, n]``: the gradient that reaches potentials through their own spikes.

        ``events`` and ``potential`` are those of the layer, ``of_events`` dL/dS and ``of_times`` dL/dT; ``None`` is
        zero.
        """
        gradient = torch.zeros_like(potential)
        if self.of_activation and of_events is not None:
            gradient.addcmul_(self.surrogate(potential), of_events, value=self.activation_weight)
        if self.of_timing and of_times is not None:
            rise = self.rise(events, potential).clamp_(min=self.clamp)
            gradient.addcmul_(events, of_times / rise, value=-self.timing_weight)
        return gradient
