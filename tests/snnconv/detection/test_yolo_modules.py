"""The modules that YOLO networks are made of since the fifth version, written out in torch, with ReLU: all convert."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import FewSpike
from tests.support.networks import draw, prepared


class Conv(nn.Sequential):
    """Convolution, batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 1, stride: int = 1, groups: int = 1) -> None:
        convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Bottleneck(nn.Module):
    """Two convolutions around which the input may pass."""

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.first, self.second, self.shortcut = Conv(channels, channels, 3), Conv(channels, channels, 3), shortcut

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x))
        return x + y if self.shortcut else y


class C2f(nn.Module):
    """Halves of a map, and of the second one the outputs of bottlenecks, all side by side."""

    def __init__(self, inputs: int, outputs: int, count: int, *, shortcut: bool) -> None:
        super().__init__()
        self.hidden = outputs // 2
        self.first = Conv(inputs, 2 * self.hidden)
        self.last = Conv((2 + count) * self.hidden, outputs)
        self.bottlenecks = nn.ModuleList(Bottleneck(self.hidden, shortcut=shortcut) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.first(x).chunk(2, 1))
        parts.extend(bottleneck(parts[-1]) for bottleneck in self.bottlenecks)
        joined: Tensor = self.last(torch.cat(parts, 1))
        return joined


class C3(nn.Module):
    """Two paths, one of them through bottlenecks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.one, self.other, self.last = Conv(channels, hidden), Conv(channels, hidden), Conv(channels, channels)
        self.bottlenecks = nn.Sequential(Bottleneck(hidden, shortcut=True), Bottleneck(hidden, shortcut=True))

    def forward(self, x: Tensor) -> Tensor:
        joined: Tensor = self.last(torch.cat((self.bottlenecks(self.one(x)), self.other(x)), 1))
        return joined


class SPPF(nn.Module):
    """A map beside its maxima over windows of three sizes, by pooling again and again."""

    def __init__(self, channels: int, size: int = 5) -> None:
        super().__init__()
        self.first, self.last = Conv(channels, channels // 2), Conv(2 * channels, channels)
        self.pool = nn.MaxPool2d(size, 1, size // 2)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.first(x)]
        parts.extend(self.pool(parts[-1]) for _ in range(3))
        joined: Tensor = self.last(torch.cat(parts, 1))
        return joined


class Focus(nn.Module):
    """The four phases of a map as channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = Conv(4 * inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        phases = (x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2])
        joined: Tensor = self.conv(torch.cat(phases, 1))
        return joined


class Ghost(nn.Module):
    """A convolution, and a cheap one of each of its channels beside it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.cheap = Conv(inputs, outputs // 2, 3), Conv(outputs // 2, outputs // 2, 5, groups=outputs // 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        return torch.cat((y, self.cheap(y)), 1)


class Down(nn.Module):
    """Half of the averaged channels by a convolution, half by pooling."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one, self.other = Conv(channels // 2, channels // 2, 3, 2), Conv(channels // 2, channels // 2)
        self.average, self.maximum = nn.AvgPool2d(2, 1, 0), nn.MaxPool2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.average(x).chunk(2, 1)
        return torch.cat((self.one(one), self.other(self.maximum(other))), 1)


class Yolo(nn.Module):
    """A backbone, a neck that goes up once, and maps of distances and classes at two strides, not decoded."""

    def __init__(self, classes: int = 3, bins: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(Conv(3, 8, 3, 2), C2f(8, 8, 1, shortcut=True))
        self.deep = nn.Sequential(Conv(8, 16, 3, 2), C2f(16, 16, 2, shortcut=True), SPPF(16))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.mixed = C2f(24, 8, 1, shortcut=False)
        self.boxes = nn.ModuleList(nn.Sequential(Conv(c, 8, 3), nn.Conv2d(8, 4 * bins, 1)) for c in (8, 16))
        self.classes = nn.ModuleList(nn.Sequential(Conv(c, 8, 3), nn.Conv2d(8, classes, 1)) for c in (8, 16))

    def forward(self, x: Tensor) -> list[Tensor]:
        fine = self.stem(x)
        coarse = self.deep(fine)
        maps = (self.mixed(torch.cat((self.up(coarse), fine), 1)), coarse)
        heads = zip(self.boxes, self.classes, maps, strict=True)
        return [torch.cat((box(values), label(values)), 1) for box, label, values in heads]


MODULES = {
    "Bottleneck": lambda: Bottleneck(8, shortcut=True),
    "C2f": lambda: C2f(8, 8, 2, shortcut=True),
    "C3": lambda: C3(8),
    "SPPF": lambda: SPPF(8, 3),
    "Focus": lambda: Focus(8, 8),
    "Ghost": lambda: Ghost(8, 8),
    "Down": lambda: Down(8),
}


def arriving(model: nn.Module, x: Tensor) -> list[Tensor]:
    """For every ReLU of ``model``, in the order of execution, the non-zeros of the Jacobians of all that it reaches."""
    leaves: list[Tensor] = []
    arrivals: list[Tensor] = []

    def cut(_: nn.Module, __: tuple[Tensor], output: Tensor) -> Tensor:
        leaves.append(output.detach().clone().requires_grad_())
        return leaves[-1]

    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(lambda _, args: arrivals.append(args[0].clone()))
            module.register_forward_hook(cut)
    arrivals.append(model(x))
    counts = [torch.zeros_like(leaf[0]) for leaf in leaves]
    for values in (each.flatten() for each in arrivals if each.requires_grad):
        units = torch.eye(len(values))
        jacobians = torch.autograd.grad(
            values, leaves, units, is_grads_batched=True, allow_unused=True, retain_graph=True
        )
        for count, jacobian in zip(counts, jacobians, strict=True):
            if jacobian is not None:
                count += (jacobian != 0.0).sum((0, 1))
    return counts


MODULES = {
    "Bottleneck": lambda: Bottleneck(4, shortcut=True),
    "C2f": lambda: C2f(4, 4, 2, shortcut=True),
    "C3": lambda: C3(4),
    "SPPF": lambda: SPPF(4, 3),
    "Focus": lambda: Focus(4, 4),
    "Ghost": lambda: Ghost(4, 4),
    "Down": lambda: Down(4),
}


def within(name: str) -> nn.Module:
    """A module between a convolution and an output."""
    return nn.Sequential(Conv(2, 4, 3), MODULES[name](), nn.Conv2d(4, 3, 1))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_converted_with_the_synapses_of_its_jacobians(name: str) -> None:
    model = prepared(lambda: within(name), torch.float32)
    network = snnconv.convert(model, draw(40, 2, 6, 6, dtype=torch.float32), coding=FewSpike(12, spikes=4))
    x = draw(16, 2, 6, 6, dtype=torch.float32, seed=1)
    with torch.no_grad():
        expected, found = model(x), network(x)
    assert (found - expected).norm() < 0.01 * expected.norm()
    if not any(isinstance(module, nn.MaxPool2d) for module in model.modules()):
        counts = arriving(model, x[:1])
        assert len(counts) == len(network.populations)
        for population, count in zip(network.populations, counts, strict=True):
            assert torch.equal(network.synapses.fan_out[population], count.to(torch.float64)), population


def test_a_network_of_them_gives_its_maps() -> None:
    model = prepared(Yolo, torch.float32)
    network = snnconv.convert(model, draw(24, 3, 16, 16, dtype=torch.float32), coding=FewSpike(12, spikes=4))
    x = draw(8, 3, 16, 16, dtype=torch.float32, seed=1)
    with torch.no_grad():
        expected, found = model(x), network(x)
    assert isinstance(found, list) and [part.shape[1:] for part in found] == [(19, 8, 8), (19, 4, 4)]
    for one, other in zip(expected, found, strict=True):
        assert (other - one).norm() < 0.01 * one.norm()
