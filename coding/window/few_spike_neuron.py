"""The few-spike neurons of Stoeckl and Maass (2021): what spikes are worth and what they take off is learned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from coding.errors import ConfigurationError
from coding.neural_code import Code, Fired, Memory
from coding.threshold import at_least, tie_tolerance
from coding.window.few_spike_coefficients import PUBLISHED, Coefficients

#: Most of the way from a threshold down to 0 that its slack takes.
_SHARE_OF_THRESHOLD = 0.125


@dataclass(frozen=True)
class FewSpikeNeuron(Code):
    """Code of the few-spike (FS) neurons of Stoeckl and Maass 2021 (Nature Machine Intelligence 3), eq. 1 to 3.

    With v(0) the value, a neuron fires at step t, z(t) = 1, where v(t) reaches T(t); v(t + 1) = v(t) - h(t) z(t), and
    the train is worth the sum of d(t) z(t). Without coefficients they are those of ReLU, 2^-(t + 1) each, and a window
    stands for its value. With others it may compute a function of the value, which stands for a current in the units of
    the original network: populations of that ``function`` take such a code, others and inputs refuse it.

    Args:
        steps: Time steps of a window, K of the paper.
        thresholds: T(t) by step.
        removed: h(t) by step.
        emitted: d(t) by step, none of them 0.
        function: The function that a window computes, by its name in ATen's operator library, such as "silu"; ``None``
            where a window stands for its value.

    Raises:
        ConfigurationError: Coefficients are not finite numbers, one for each step, or some of them are missing.
    """

    steps: int = 10
    thresholds: tuple[float, ...] = ()
    removed: tuple[float, ...] = ()
    emitted: tuple[float, ...] = ()
    function: str | None = None

    name: ClassVar[str] = "few-spike-neuron"
    papers: ClassVar[tuple[str, ...]] = ("stoeckl2021fewspike",)
    named: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in Coefficients._fields:
            object.__setattr__(self, field, tuple(float(number) for number in getattr(self, field)))
        given = Coefficients(self.thresholds, self.removed, self.emitted)
        if not any(given) and self.function is None:
            return
        if any(len(numbers) != self.steps or not all(map(math.isfinite, numbers)) for numbers in given):
            raise ConfigurationError(
                f"FewSpikeNeuron: thresholds, removed and emitted must be {self.steps} finite numbers each, one per "
                f"step, got {given}"
            )
        if not all(self.emitted):
            raise ConfigurationError(f"FewSpikeNeuron: a spike that is worth 0 is none, got emitted={self.emitted}")
        if self.function is not None and (not isinstance(self.function, str) or not self.function):
            raise ConfigurationError(f"FewSpikeNeuron: function must be a name or None, got {self.function!r}")

    @classmethod
    def published(cls, function: str) -> FewSpikeNeuron:
        """The neuron with the coefficients of Stoeckl and Maass for ``function``, "silu" or "sigmoid".

        Raises ``ConfigurationError`` for any other.
        """
        if function not in PUBLISHED:
            raise ConfigurationError(
                f"no coefficients of few-spike neurons are published for {function!r}, only for "
                f"{' and '.join(PUBLISHED)}; leave the code out, and it is looked up in tables fitted to its currents"
            )
        found = PUBLISHED[function]
        return cls(len(found.thresholds), *found, function)

    @cached_property
    def coefficients(self) -> Coefficients:
        """T(t), h(t) and d(t) of all steps."""
        if self.thresholds:
            return Coefficients(self.thresholds, self.removed, self.emitted)
        halves = tuple(2.0 ** -(t + 1) for t in range(self.steps))
        return Coefficients(halves, halves, halves)

    @property
    def computes(self) -> str | None:
        return self.function

    @property
    def maximum(self) -> float:
        return sum(worth for worth in self.coefficients.emitted if worth > 0)

    def fire(self, potential: Tensor, t: int, memory: Memory, out: Tensor | None = None) -> Fired:
        t %= self.steps
        threshold, removed, emitted = (numbers[t] for numbers in self.coefficients)
        largest = max(self.maximum, *map(abs, self.coefficients.thresholds))
        slack = min(tie_tolerance(potential.dtype) * largest, _SHARE_OF_THRESHOLD * abs(threshold))
        spikes = at_least(potential, threshold - slack, out)
        if removed == emitted:
            spikes.mul_(emitted)
            return Fired(spikes, spikes, None)
        taken = torch.mul(spikes, removed)
        return Fired(spikes.mul_(emitted), taken, None)
