"""A search of codes for a hundred classes: two MNIST digits side by side, read as one number."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import snnconv
from benchmarks.datasets import LabelledImages, batches, mnist_test, mnist_train
from benchmarks.mnist_network import train_by_adam
from benchmarks.results import publish

MAX_LOSS = 0.5
#: Pairs to learn from, and of these to calibrate on.
_TRAINING, _CALIBRATION = 20_000, 1500
HEAD = ("network", "calibration pairs", "test pairs", "ANN %", "SNN %", "loss", "changed %", "expected loss", "bound")


class TwoDigitsCNN(nn.Module):
    """``[N, 1, 28, 56]`` to logits ``[N, 100]``."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, kernel_size=5, stride=2),
            nn.ReLU(),
            nn.Conv2d(8, 16, kernel_size=3, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * 5 * 12, 96),
            nn.ReLU(),
            nn.Linear(96, 100),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


def side_by_side(digits: LabelledImages, pairs: int, seed: int) -> LabelledImages:
    """``pairs`` images ``[N, 1, 28, 56]`` of two digits drawn at random, and the numbers that they make."""
    generator = torch.Generator().manual_seed(seed)
    left, right = torch.randint(len(digits.labels), (2, pairs), generator=generator)
    images = torch.cat([digits.images[left], digits.images[right]], 3)
    return LabelledImages(images, 10 * digits.labels[left] + digits.labels[right])


def run(images: int | None = None) -> None:
    """Publish the table ``two_digits``: what a search keeps of the decisions on pairs that it has not seen."""
    train = side_by_side(mnist_train(), _TRAINING, 0)
    test = side_by_side(mnist_test(), 10_000 if images is None else images, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TwoDigitsCNN()
        train_by_adam(model, *train, epochs=3, batch_size=128, learning_rate=2e-3)
    network = snnconv.convert(model, train.images[:_CALIBRATION], coding="auto", max_loss=MAX_LOSS)
    parts = list(zip(batches(test.images, 250), batches(test.labels, 250), strict=True))
    found = snnconv.evaluate(network, parts, reference=model)
    assert network.search_log is not None and found.agreement is not None
    assert found.accuracy is not None and found.reference_accuracy is not None
    row: list[Any] = [
        network.search_log.trials[network.search_log.chosen].codes,
        _CALIBRATION,
        found.samples,
        *(round(each, 2) for each in (found.reference_accuracy, found.accuracy)),
        round(found.reference_accuracy - found.accuracy, 2),
        round(100.0 - found.agreement, 2),
        round(network.search_log.trials[network.search_log.chosen].loss, 2),
        MAX_LOSS,
    ]
    publish("two_digits", f"auto, max_loss {MAX_LOSS}, a hundred classes", HEAD, [row])
