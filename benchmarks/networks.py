"""ResNet-20 for CIFAR-10, as its author wrote it and rewritten for converters that need modules.

`ResNet20` has the form of Yerlan Idelbayev's pytorch_resnet_cifar10 (BSD 2-clause), whose published weights
it loads: ``F.relu``, shortcuts that slice and pad inside a `LambdaLayer`, an in-place residual sum,
``F.avg_pool2d`` with a kernel read from the tensor, and ``view``.

`ModuleResNet20` computes the same function in the form that SpikingJelly 2.0 and sinabs 3.1 can convert.
What had to change, and why:

- each ``F.relu`` became an `nn.ReLU` of its own. SpikingJelly refuses ``F.relu``; sinabs leaves it analog in
  silence. One `nn.ReLU` used twice would become one neuron layer whose state both uses share.
- the shortcut ``F.pad(x[:, :, ::2, ::2], ...)`` became a strided 1x1 convolution with fixed weights 0 and
  1: ``F.pad`` is not among the operations SpikingJelly adapts. The convolution multiplies by one and adds
  zeros, so it is exact.
- ``F.avg_pool2d(out, out.size()[3])`` became `nn.AvgPool2d` with kernel 8: SpikingJelly refuses the function.
- ``view`` became `nn.Flatten` and ``out += shortcut(x)`` became ``out + shortcut(x)``, for plainness: both
  libraries take the author's form.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS_FILE = "resnet20_cifar10.safetensors"
_WIDTHS = (16, 32, 64)
_BLOCKS = 3
_CLASSES = 10


class LambdaLayer(nn.Module):
    """A function of one tensor as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without weights."""

    def __init__(self, in_planes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut: nn.Module = nn.Sequential()
        if stride != 1 or in_planes != planes:
            side = planes // 4
            self.shortcut = LambdaLayer(lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, side, side), "constant", 0))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet20(nn.Module):
    """ResNet-20 in its author's form: ``[N, 3, 32, 32]`` to logits ``[N, 10]``; ResNet-56 has 9 ``blocks`` a stage."""

    def __init__(self, blocks: int = _BLOCKS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _WIDTHS[0], kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_WIDTHS[0])
        self.layer1 = _stage(BasicBlock, _WIDTHS[0], _WIDTHS[0], 1, blocks)
        self.layer2 = _stage(BasicBlock, _WIDTHS[0], _WIDTHS[1], 2, blocks)
        self.layer3 = _stage(BasicBlock, _WIDTHS[1], _WIDTHS[2], 2, blocks)
        self.linear = nn.Linear(_WIDTHS[2], _CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer1(out)
        out = self.layer2(out)
        out = self.layer3(out)
        out = F.avg_pool2d(out, out.size()[3])
        out = out.view(out.size(0), -1)
        logits: Tensor = self.linear(out)
        return logits


class ModuleBlock(nn.Module):
    """`BasicBlock` with one `nn.ReLU` per use and a convolution for the shortcut."""

    def __init__(self, in_planes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu2 = nn.ReLU()
        self.shortcut: nn.Module = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = subsampling_convolution(in_planes, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)) + self.shortcut(x)
        activation: Tensor = self.relu2(out)
        return activation


class ModuleResNet20(nn.Module):
    """The function of `ResNet20`, written with modules only."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _WIDTHS[0], kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_WIDTHS[0])
        self.relu = nn.ReLU()
        self.layer1 = _stage(ModuleBlock, _WIDTHS[0], _WIDTHS[0], 1)
        self.layer2 = _stage(ModuleBlock, _WIDTHS[0], _WIDTHS[1], 2)
        self.layer3 = _stage(ModuleBlock, _WIDTHS[1], _WIDTHS[2], 2)
        self.pool = nn.AvgPool2d(8)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(_WIDTHS[2], _CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        logits: Tensor = self.linear(self.flatten(self.pool(out)))
        return logits


def subsampling_convolution(in_planes: int, planes: int, stride: int) -> nn.Conv2d:
    """A fixed 1x1 convolution: every ``stride``-th pixel, zero channels padded evenly on both sides."""
    before = (planes - in_planes) // 2
    convolution = nn.Conv2d(in_planes, planes, kernel_size=1, stride=stride, bias=False)
    convolution.weight.requires_grad_(False)
    with torch.no_grad():
        convolution.weight.zero_()
        channels = torch.arange(in_planes)
        convolution.weight[channels + before, channels] = 1.0
    return convolution


def resnet20(weights: Path) -> ResNet20:
    """The author's form with the published weights, in evaluation mode."""
    network = ResNet20()
    network.load_state_dict(load_file(weights))
    return network.eval()


def module_resnet20(weights: Path) -> ModuleResNet20:
    """The module form with the published weights, in evaluation mode."""
    network = ModuleResNet20()
    missing, unexpected = network.load_state_dict(load_file(weights), strict=False)
    wrong = [name for name in missing if ".shortcut." not in name] + unexpected
    if wrong:
        raise ValueError(f"{weights.name} is not ResNet-20: missing or unexpected {wrong}; use {WEIGHTS_FILE}")
    return network.eval()


def largest_difference(first: nn.Module, second: nn.Module, images: Tensor) -> float:
    """The largest absolute difference between two networks' outputs."""
    with torch.no_grad():
        return float((first(images) - second(images)).abs().max())


def check_same_function(first: nn.Module, second: nn.Module, images: Tensor, tolerance: float = 1e-4) -> None:
    """Raise ValueError unless two networks agree on ``images`` within ``tolerance`` (of logits)."""
    difference = largest_difference(first, second, images)
    if not difference <= tolerance:
        raise ValueError(
            f"{type(first).__name__} and {type(second).__name__} differ by {difference:.3g} "
            f"(allowed {tolerance:.3g}): load the same weights into both and put both in evaluation mode"
        )


_Block = TypeVar("_Block", BasicBlock, ModuleBlock)


def _stage(block: type[_Block], in_planes: int, planes: int, stride: int, blocks: int = _BLOCKS) -> nn.Sequential:
    first = block(in_planes, planes, stride)
    return nn.Sequential(first, *(block(planes, planes, 1) for _ in range(blocks - 1)))
