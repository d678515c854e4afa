"""Losses on spikes and their gradients, against the equations as slow loops (Kim, Kim and Kim 2020, section 4)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from snnconv import InputError
from snnconv.learning import CountLoss, LatencyLoss, Spikes, SpikeTrainLoss
from snnconv.learning.layer import spike_times

STEPS, SAMPLES, OUTPUTS = 12, 5, 4
Gradients = tuple[float, Tensor, Tensor]


def random_trains(seed: int, share: float = 0.15) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(STEPS, SAMPLES, OUTPUTS, generator=generator) < share).double()


def found(loss: object, events: Tensor, targets: Tensor) -> Gradients:
    """The loss, dL/dS and dL/dT."""
    assert callable(loss)
    spikes = Spikes(events.clone().requires_grad_(), spike_times(events).requires_grad_())
    value = loss(spikes, targets)
    gradients = torch.autograd.grad(value, list(spikes), allow_unused=True)
    of_events, of_times = (torch.zeros_like(events) if one is None else one for one in gradients)
    return float(value.detach()), of_events, of_times


def near(found: Gradients, expected: Gradients) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-10)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert float((one - other).norm()) <= 1e-10 * float(other.norm())


def literal_latency(events: Tensor, targets: Tensor, sharpness: float, penalty: float) -> Gradients:
    of_events, of_times, value = torch.zeros_like(events), torch.zeros_like(events), 0.0
    first = [[STEPS] * OUTPUTS for _ in range(SAMPLES)]
    for n in range(SAMPLES):
        for k in range(OUTPUTS):
            for t in reversed(range(STEPS)):
                if events[t, n, k] == 1:
                    first[n][k] = t
    # The simulation stops once every output of every sample has fired.
    end = min(STEPS, max(map(max, first)) + 1)
    for n in range(SAMPLES):
        target = int(targets[n])
        logits = [sharpness * (end - t) if t < STEPS else 0.0 for t in first[n]]
        total = sum(math.exp(logit) for logit in logits)
        value += (math.log(total) - logits[target]) / SAMPLES
        for k in range(OUTPUTS):
            of_logit = (math.exp(logits[k]) / total - (k == target)) / SAMPLES
            if first[n][k] < STEPS:
                of_times[first[n][k], n, k] = -sharpness * of_logit
        if first[n][target] == STEPS:
            value += penalty / SAMPLES
            for t in range(STEPS):
                of_events[t, n, target] = -penalty / SAMPLES
    return value, of_events, of_times


@pytest.mark.parametrize(("seed", "share"), [(0, 0.15), (1, 0.6), (2, 0.9)])
def test_the_latency_loss_is_that_of_the_equations(seed: int, share: float) -> None:
    events, targets = random_trains(seed, share), torch.tensor([0, 1, 2, 3, 0])
    expected = literal_latency(events, targets, 0.25, 0.3)
    silent = ~events.any(0)
    # Sparse trains leave targets silent; dense ones end the simulation before its last step.
    assert bool(expected[1].any()) == (seed == 0) and bool(silent.any()) == (seed == 0)
    assert bool(expected[2].any())
    near(found(LatencyLoss(0.25, 0.3), events, targets), expected)


def test_the_count_loss_is_that_of_the_equations() -> None:
    events, targets = random_trains(3), torch.tensor([0, 1, 2, 3, 0])
    value, of_events = 0.0, torch.zeros_like(events)
    for n in range(SAMPLES):
        for k in range(OUTPUTS):
            wanted = 3.0 if k == int(targets[n]) else 0.5
            count = sum(float(events[t, n, k]) for t in range(STEPS))
            value += (count - wanted) ** 2 / (STEPS * SAMPLES)
            for t in range(STEPS):
                of_events[t, n, k] = 2 * (count - wanted) / (STEPS * SAMPLES)
    near(found(CountLoss(3.0, 0.5), events, targets), (value, of_events, torch.zeros_like(events)))


def literal_train(events: Tensor, targets: Tensor, decay: float, extension: int) -> Gradients:
    of_events, of_times, value = torch.zeros_like(events), torch.zeros_like(events), 0.0

    def kappa(k: int) -> float:
        return decay**k if k >= 0 else 0.0

    scale = 1.0 / (STEPS * SAMPLES)
    for n in range(SAMPLES):
        for i in range(OUTPUTS):
            difference = [
                sum(kappa(u - t) * float(events[t, n, i] - targets[t, n, i]) for t in range(STEPS))
                for u in range(STEPS + extension)
            ]
            value += scale * sum(entry**2 for entry in difference)
            for t in range(STEPS):
                for u, entry in enumerate(difference):
                    of_events[t, n, i] += 2 * scale * kappa(u - t) * entry
                    of_times[t, n, i] -= 2 * scale * (kappa(u - t + 1) - kappa(u - t - 1)) / 2 * entry
    return value, of_events, of_times


@pytest.mark.parametrize("extension", [0, 3, 20])
def test_the_spike_train_loss_is_that_of_the_equations(extension: int) -> None:
    events, targets = random_trains(4, 0.3), random_trains(5, 0.3)
    expected = literal_train(events, targets, 0.9, extension)
    assert bool(events[0].any()), "step 0 has a spike, whose kernel reaches one step further than any"
    found_here = found(SpikeTrainLoss(0.9, extension), events, targets)
    near(found_here, expected)
    # Element by element too: one wrong step of twelve is much of its own gradient, little of all.
    assert torch.allclose(found_here[2], expected[2], rtol=1e-10, atol=1e-14)


def test_trains_are_asked_for_where_classes_are_given() -> None:
    events = random_trains(0)
    with pytest.raises(InputError, match=r"torch\.int64 \[5\]; SpikeTrainLoss needs the trains .* TrainSamples"):
        SpikeTrainLoss()(Spikes(events, events), torch.zeros(5, dtype=torch.int64))
