"""Darknet's layers as torch modules; each takes the maps ``[N, C, h, w]`` of the layers it reads, and returns one."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

#: What darknet adds to a variance before it takes the root.
EPSILON = 1e-5
#: Slope of the leaky activation below zero.
LEAK = 0.1

#: Activations by their names in a ``.cfg``.
ACTIVATIONS = ("linear", "leaky", "relu", "relu6", "logistic", "mish", "swish")


def activation(name: str) -> nn.Module:
    """The module of one of ``ACTIVATIONS``."""
    modules: dict[str, nn.Module] = {
        "linear": nn.Identity(),
        "leaky": nn.LeakyReLU(LEAK),
        "relu": nn.ReLU(),
        "relu6": nn.ReLU6(),
        "logistic": nn.Sigmoid(),
        "mish": nn.Mish(),
        "swish": nn.SiLU(),
    }
    return modules[name]


class DarknetConvolution(nn.Module):
    """A convolution, batch normalisation where the ``.cfg`` asks for it, and an activation."""

    def __init__(
        self,
        inputs: int,
        filters: int,
        *,
        size: int,
        stride: int,
        padding: int,
        dilation: int,
        groups: int,
        normalized: bool,
        activation: nn.Module,
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, filters, size, stride, padding, dilation, groups, bias=not normalized)
        self.normalization = nn.BatchNorm2d(filters, eps=EPSILON) if normalized else None
        self.activation = activation

    def forward(self, values: Tensor) -> Tensor:
        values = self.convolution(values)
        if self.normalization is not None:
            values = self.normalization(values)
        activated: Tensor = self.activation(values)
        return activated

    def tensors(self) -> dict[str, Tensor]:
        """The layer's trained numbers by what they are, in the order of a weights file."""
        normalization = self.normalization
        if normalization is None:
            assert self.convolution.bias is not None
            return {"bias": self.convolution.bias, "kernel": self.convolution.weight}
        assert normalization.running_mean is not None and normalization.running_var is not None
        return {
            "shift": normalization.bias,
            "scale": normalization.weight,
            "running mean": normalization.running_mean,
            "running variance": normalization.running_var,
            "kernel": self.convolution.weight,
        }

    def initialize(self, generator: Generator) -> None:
        """Random kernels that keep the variance of their input behind a leaky activation; no shifts."""
        weight = self.convolution.weight
        bound = math.sqrt(6.0 / ((1.0 + LEAK**2) * weight[0].numel()))
        with torch.no_grad():
            weight.uniform_(-bound, bound, generator=generator)
            if self.convolution.bias is not None:
                self.convolution.bias.zero_()
        if self.normalization is not None:
            self.normalization.reset_parameters()


class DarknetMaxPool(nn.Module):
    """Maximum over windows, with ``padding`` in all: its floor half before the map, the rest behind it.

    Padding never wins. Where the halves differ, the map is padded by the larger one on both sides, and the windows that
    would not have been there are left out; so no infinity is needed.
    """

    def __init__(self, size: int, stride: int, padding: int) -> None:
        super().__init__()
        self.first, self.step = 0, 1  # of the windows that stay
        if padding % 2 == 0:
            self.pool = nn.MaxPool2d(size, stride, padding // 2)
        elif stride == 2 and padding == size - 1:
            # Windows from the same places as here, and as many; the last one may reach one element further.
            self.pool = nn.MaxPool2d(size, stride, padding // 2, ceil_mode=True)
        else:
            self.pool = nn.MaxPool2d(size, 1, padding // 2 + 1)
            self.first, self.step = 1, stride

    def forward(self, values: Tensor) -> Tensor:
        pooled: Tensor = self.pool(values)
        if self.first:
            pooled = pooled[..., self.first :: self.step, self.first :: self.step]
        return pooled


class DarknetRoute(nn.Module):
    """Maps side by side along the channels; of each, part ``part`` of ``parts`` equal ones."""

    def __init__(self, parts: int, part: int) -> None:
        super().__init__()
        self.execution_plan, self.part = parts, part

    def forward(self, *maps: Tensor) -> Tensor:
        if self.execution_plan > 1:
            maps = tuple(values.chunk(self.execution_plan, 1)[self.part] for values in maps)
        return torch.cat(maps, 1) if len(maps) > 1 else maps[0]


class DarknetReorg(nn.Module):
    """Maps ``[N, C, h, w]`` as more and smaller ones, ``[N, C stride^2, h / stride, w / stride]``, in darknet's order.

    Darknet reads the numbers of the maps, in the order they lie in, as those of C / stride^2 maps that are stride times
    as wide and high, and lists the phases of these one after the other.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, values: Tensor) -> Tensor:
        step = self.stride
        images, channels, height, width = values.shape
        phases = values.reshape(images, channels // step**2, height, step, width, step).permute(0, 3, 5, 1, 2, 4)
        return phases.reshape(images, channels * step**2, height // step, width // step)


class DarknetShortcut(nn.Module):
    """The sum of two maps in the channels that both have, the others of the first as they are, and an activation."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, values: Tensor, earlier: Tensor) -> Tensor:
        own, other = values.shape[1], earlier.shape[1]
        if other > own:
            earlier = earlier[:, :own]
        elif other < own:
            earlier = functional.pad(earlier, (0, 0, 0, 0, 0, own - other))
        summed: Tensor = self.activation(values + earlier)
        return summed
