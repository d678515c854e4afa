"""A small network of functions that are looked up, on the digits that ship with scikit-learn, and a seeded trainer.

``16C3 - SiLU - 32C3/2 - GELU - 32C3/2 - ReLU - FC64 - tanh - FC10``, batch normalisation after the first convolution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.mnist_network import train_by_adam


class SmoothDigits(nn.Module):
    """``[N, 1, 8, 8]`` to logits ``[N, 10]``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, stride=2, padding=1)
        self.linear1 = nn.Linear(128, 64)
        self.linear2 = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        out = F.gelu(self.conv2(F.silu(self.bn1(self.conv1(x)))))
        out = F.relu(self.conv3(out))
        logits: Tensor = self.linear2(torch.tanh(self.linear1(out.flatten(1))))
        return logits


def train_smooth_digits(images: Tensor, labels: Tensor, *, seed: int = 0, epochs: int = 15) -> SmoothDigits:
    """Train `SmoothDigits` by Adam; returned in evaluation mode. The global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SmoothDigits()
        train_by_adam(network, images, labels, epochs=epochs, batch_size=64, learning_rate=2e-3)
    return network
