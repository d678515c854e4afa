"""A small network, samples that it learns in a second, and runs that stop on the way."""

from __future__ import annotations

from typing import Any

import torch

from neurons.double_exponential import DoubleExponential
from snnconv.learning import (
    EncodedSamples,
    GradientRule,
    LatencyEncoder,
    LayeredNetwork,
    LearningLog,
    SpikeSamples,
    train,
)

NEURON = DoubleExponential(0.9, 0.9)


def small_samples(count: int = 24, encoder: Any = None, seed: int = 0) -> EncodedSamples:
    """Three classes, of which each lights up its own third of the input."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    values = 0.3 * torch.rand(count, 9, generator=generator)
    for sample, label in enumerate(labels.tolist()):
        values[sample, 3 * label : 3 * label + 3] += 0.6
    return EncodedSamples(values, labels, encoder or LatencyEncoder(30, 12))


def small_network(seed: int = 0, rule: GradientRule | None = None, **options: Any) -> LayeredNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        setting = {"weight_offset": 2.0, **options}
        return LayeredNetwork([9, 12, 3], neuron=NEURON, rule=rule or GradientRule(), **setting)


def trained(samples: SpikeSamples | None = None, **options: Any) -> tuple[LayeredNetwork, LearningLog]:
    network = small_network()
    return network, train(
        network, small_samples() if samples is None else samples, **{"epochs": 4, "batch": 8, **options}
    )


def same(a: LayeredNetwork, b: LayeredNetwork) -> bool:
    mine, other = a.state_dict(), b.state_dict()
    return all(torch.equal(mine[name], other[name]) for name in mine)


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9)


def falling(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.1)


def plateau(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.5)
