"""Handwritten digits that ship with scikit-learn, and a small network that learns them in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnconv.progress import ProgressCallback, told
from snnconv.surroundings import kept_random_numbers, own_surroundings


@dataclass(frozen=True)
class Digits:
    """1,797 grey images of 8 by 8 pixels in [0, 1], ``[N, 1, 8, 8]``, with classes ``[N]``; a fifth is for tests."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


@own_surroundings()
def load_digits() -> Digits:
    """The data set, split the same way every time (Alpaydin and Kaynak 1998)."""
    from sklearn import datasets

    pixels, classes = datasets.load_digits(return_X_y=True)
    images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16.0
    labels = torch.tensor(classes, dtype=torch.int64)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    images, labels = images[order], labels[order]
    test = len(labels) // 5
    return Digits((images[test:], labels[test:]), (images[:test], labels[:test]))


class DigitsCNN(nn.Module):
    """Two convolutions with batch norm and max pooling, two linear layers; written as people write networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False, dtype=torch.float32)
        self.bn1 = nn.BatchNorm2d(16, dtype=torch.float32)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, dtype=torch.float32)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(32 * 2 * 2, 64, dtype=torch.float32)
        self.fc2 = nn.Linear(64, 10, dtype=torch.float32)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores ``[N, 10]`` of images ``[N, 1, 8, 8]``."""
        features = self.pool(functional.relu(self.bn1(self.conv1(images))))
        features = self.pool(functional.relu(self.conv2(features)))
        scores: Tensor = self.fc2(functional.relu(self.fc1(features.flatten(1))))
        return scores


@own_surroundings()
@torch.enable_grad()
def train_digits_cnn(
    digits: Digits,
    *,
    epochs: int = 15,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> DigitsCNN:
    """A ``DigitsCNN`` trained on ``digits.train``, in eval mode; the same seed gives the same network."""
    images, labels = digits.train
    generator = torch.Generator().manual_seed(seed)
    with kept_random_numbers():
        torch.manual_seed(seed)
        model = DigitsCNN()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in told(progress, "training", range(epochs), epochs):
        for batch in torch.split(torch.randperm(len(labels), generator=generator), 64):
            optimizer.zero_grad()
            torch.autograd.backward(functional.cross_entropy(model(images[batch]), labels[batch]))
            optimizer.step()
    return model.eval()
