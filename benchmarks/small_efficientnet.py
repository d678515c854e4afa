"""A small network with smooth functions and gates, as people write them today, for pictures of 32 x 32 pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.datasets import Normalization

#: Name of its weights, trained on CIFAR-10, in the folder of data.
WEIGHTS_FILE = "small_efficientnet_cifar10.safetensors"
#: Mean and standard deviation of the training pixels, with which it was trained.
PIXELS = Normalization((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
_EXPANSION, _REDUCTION = 4, 4
#: Channels before and behind every block, and its stride.
_BLOCKS = ((24, 24, 1), (24, 48, 2), (48, 48, 1), (48, 48, 1), (48, 96, 2), (96, 96, 1), (96, 96, 1))
_STEM, _HEAD = 24, 256

Function = Callable[[Tensor], Tensor]


class ChannelGate(nn.Module):
    """Squeeze-and-excite (Hu et al. 2018): every channel times a share that the means of all channels decide."""

    def __init__(self, channels: int, activation: Function, gate: Function) -> None:
        super().__init__()
        self.activation, self.gate = activation, gate
        self.reduce = nn.Conv2d(channels, channels // _REDUCTION, 1)
        self.expand = nn.Conv2d(channels // _REDUCTION, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` with every channel weighed."""
        squeezed = F.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.expand(self.activation(self.reduce(squeezed))))


class InvertedResidual(nn.Module):
    """A block of EfficientNet (Tan and Le 2019): wide, depthwise, gated, narrow, with a shortcut where shapes agree."""

    def __init__(self, before: int, behind: int, stride: int, activation: Function, gate: Function) -> None:
        super().__init__()
        self.activation, wide = activation, before * _EXPANSION
        self.grow, self.bn1 = nn.Conv2d(before, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.depthwise = nn.Conv2d(wide, wide, 3, stride, padding=1, groups=wide, bias=False)
        self.bn2, self.se = nn.BatchNorm2d(wide), ChannelGate(wide, activation, gate)
        self.shrink, self.bn3 = nn.Conv2d(wide, behind, 1, bias=False), nn.BatchNorm2d(behind)
        self.shortcut = stride == 1 and before == behind

    def forward(self, x: Tensor) -> Tensor:
        """The block's result."""
        wide = self.activation(self.bn1(self.grow(x)))
        wide = self.se(self.activation(self.bn2(self.depthwise(wide))))
        narrow: Tensor = self.bn3(self.shrink(wide))
        return narrow + x if self.shortcut else narrow


class SmallEfficientNet(nn.Module):
    """Class scores ``[N, 10]`` of pictures ``[N, 3, 32, 32]``.

    It was trained with SiLU and sigmoid gates; with other functions it is another network of the same layers.
    """

    def __init__(self, activation: Function = F.silu, gate: Function = torch.sigmoid) -> None:
        super().__init__()
        self.activation = activation
        self.stem = nn.Sequential(nn.Conv2d(3, _STEM, 3, 2, 1, bias=False), nn.BatchNorm2d(_STEM))
        self.blocks = nn.Sequential(*(InvertedResidual(*block, activation, gate) for block in _BLOCKS))
        narrow = _BLOCKS[-1][1]
        self.head = nn.Sequential(nn.Conv2d(narrow, _HEAD, 1, bias=False), nn.BatchNorm2d(_HEAD))
        self.classifier = nn.Linear(_HEAD, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        features = self.activation(self.head(self.blocks(self.activation(self.stem(x)))))
        scores: Tensor = self.classifier(features.mean((2, 3)))
        return scores


def small_efficientnet(
    weights: Path, activation: Function = F.silu, gate: Function = torch.sigmoid
) -> SmallEfficientNet:
    """The network with trained weights, ready for inference."""
    from safetensors.torch import load_file

    network = SmallEfficientNet(activation, gate)
    network.load_state_dict(load_file(weights))
    return network.eval()
