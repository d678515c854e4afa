"""A small MNIST network with max pooling, and a seeded trainer.

``12C5 - MP2 - 64C5 - MP2 - dropout 0.5 - FC10``: valid convolutions, batch normalisation after each, ReLU,
then pooling. 11,008 hidden neurons counted before pooling. Max pooling follows the ReLU, the usual order,
which conversion libraries that pool spikes get wrong.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.datasets import batches


class MnistCNN(nn.Module):
    """``[N, 1, 28, 28]`` to logits ``[N, 10]``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, kernel_size=5)
        self.bn1 = nn.BatchNorm2d(12)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(12, 64, kernel_size=5)
        self.bn2 = nn.BatchNorm2d(64)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(64 * 4 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        out = self.pool1(self.relu1(self.bn1(self.conv1(x))))
        out = self.pool2(self.relu2(self.bn2(self.conv2(out))))
        logits: Tensor = self.linear(self.dropout(self.flatten(out)))
        return logits


def train_mnist_cnn(
    images: Tensor,
    labels: Tensor,
    *,
    seed: int = 0,
    epochs: int = 1,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
) -> MnistCNN:
    """Train `MnistCNN` by Adam, its learning rate falling linearly to zero; returned in evaluation mode.

    Args:
        images: ``[N, 1, 28, 28]``.
        labels: int64 ``[N]``.
        seed: of the weights, the order of the images and the dropout. The global generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MnistCNN()
        train_by_adam(network, images, labels, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    return network


def train_by_adam(
    network: nn.Module, images: Tensor, labels: Tensor, *, epochs: int, batch_size: int, learning_rate: float
) -> None:
    """Train a classifier by Adam, its learning rate falling linearly to zero, and put it into evaluation mode."""
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    updates = epochs * -(-len(images) // batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=updates)
    loss_function = nn.CrossEntropyLoss()
    for _ in range(epochs):
        for chosen in batches(torch.randperm(len(images)), batch_size):
            optimizer.zero_grad()
            loss = loss_function(network(images[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
