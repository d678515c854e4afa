"""What pictures are drawn of: small networks, evaluations, and sweeps by hand."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn

import snnconv
from coding import FewSpike, Phase
from snnconv import Evaluation
from snnconv.metrics.error_sums import ErrorSums, VerificationSums
from snnconv.simulators.run import Run
from snnconv.sweeps.results import Measured
from tests.support.networks import make, network_of
from tests.support.transformers import transformer


@functools.cache
def evaluation(targets: bool = True, samples: int = 40) -> Evaluation:
    model, x = make("deep")
    x = x[:samples]
    data = (x, model(x).argmax(1).roll(1) if samples > 1 else model(x).argmax(1)) if targets else x
    return snnconv.evaluate(network_of("deep"), data, reference=model)


@functools.cache
def pipeline() -> snnconv.SpikingNetwork:
    model, x = make("deep")
    return snnconv.convert(model, x, coding=Phase(5))


@functools.cache
def attending() -> tuple[snnconv.SpikingNetwork, nn.Module, torch.Tensor]:
    model, x = transformer("attention")
    return snnconv.convert(model, x, coding=FewSpike(10, spikes=5)), model, x


def sums(count: int, **figures: float) -> VerificationSums:
    fields = {"error2": 1.0, "norm2": 100.0, "own2": 0.5, "received2": 100.0, "cut2": 0.4, "total": 10, "inactive": 5}
    one = ErrorSums(**{**fields, **figures})
    return VerificationSums(9, {f"layer{number}": one for number in range(count)}, one)


class Swept:
    """A sweep by hand."""

    def __init__(self, count: int = 6) -> None:
        self.results = [
            Measured(
                *(
                    f"code{n % 2} {n}",
                    f"code{n % 2}",
                    100,
                    4,
                    4.0 + n,
                    60.0 + 0.5 * n,
                    90.0,
                    30.0 - 0.5 * n,
                    4.0,
                    50.0,
                    5,
                ),
                *(0.5 + n, 100.0, 0, 500, 1e-6, 2e-6, 1e-6 * (1 + n), 3e-6),
                judged=150,
                decided=200,
            )
            for n in range(count)
        ]

    def pareto(self, cost: Any = "spikes") -> list[Measured]:
        return self.results


def rasters(network: snnconv.SpikingNetwork) -> Run:
    return network.run(make("deep")[1], record=["rasters"])
