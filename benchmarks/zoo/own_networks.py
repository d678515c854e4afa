"""Architectures that people write themselves, from their papers: U-Net, DCGAN, TCN and VDSR."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from benchmarks.zoo.subjects import CALIBRATION, MEASURED, Built, Subject, on_pictures, with_statistics


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) of three levels: transposed convolutions, and skips that are concatenated."""

    def __init__(self, channels: int = 16, classes: int = 4) -> None:
        super().__init__()
        widths = [channels, 2 * channels, 4 * channels]
        self.down = nn.ModuleList([_twice(3, widths[0]), _twice(widths[0], widths[1]), _twice(widths[1], widths[2])])
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in reversed(widths[:2]))
        self.merge = nn.ModuleList(_twice(2 * width, width) for width in reversed(widths[:2]))
        self.pool, self.last = nn.MaxPool2d(2), nn.Conv2d(channels, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of every pixel."""
        skips: list[Tensor] = []
        values = images
        for block in self.down:
            values = block(self.pool(skips[-1]) if skips else values)
            skips.append(values)
        for up, merge, skip in zip(self.up, self.merge, reversed(skips[:-1]), strict=True):
            values = merge(torch.cat([skip, up(values)], dim=1))
        scores: Tensor = self.last(values)
        return scores


def _twice(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (before, after):
        layers += [nn.Conv2d(width, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


class TemporalBlock(nn.Module):
    """Two dilated causal convolutions with normalised weights, and a residual connection (Bai et al. 2018)."""

    def __init__(self, before: int, after: int, dilation: int) -> None:
        super().__init__()
        self.past = 2 * dilation
        self.first = weight_norm(nn.Conv1d(before, after, 3, padding=self.past, dilation=dilation))
        self.second = weight_norm(nn.Conv1d(after, after, 3, padding=self.past, dilation=dilation))
        self.residual = nn.Conv1d(before, after, 1) if before != after else nn.Identity()

    def forward(self, values: Tensor) -> Tensor:
        """Sequences of the same length."""
        hidden = torch.relu(self.first(values)[..., : -self.past])
        hidden = torch.relu(self.second(hidden)[..., : -self.past])
        return torch.relu(hidden + self.residual(values))


class VDSR(nn.Module):
    """Very deep super-resolution (Kim et al. 2016): 20 convolutions whose result is added to the input."""

    def __init__(self, channels: int = 64, depth: int = 20) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, channels, 3, padding=1, bias=False), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, 1, 3, padding=1, bias=False))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """The sharper picture."""
        residual: Tensor = self.layers(images)
        return images + residual


def _dcgan_generator() -> nn.Sequential:
    """The generator of DCGAN (Radford et al. 2016) for 32 x 32 pixels."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(100, 128, 4, bias=False), nn.BatchNorm2d(128), nn.ReLU()]
    for before, after in ((128, 64), (64, 32)):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(32, 3, 4, 2, 1, bias=False), nn.Tanh())


def _dcgan_discriminator() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for before, after in ((32, 64), (64, 128)):
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(128, 1, 4, bias=False), nn.Sigmoid())


def _generated() -> Built:
    noise = torch.randn(CALIBRATION + MEASURED, 100, 1, 1)
    model = with_statistics(_dcgan_generator(), noise[:CALIBRATION])
    return Built(model, noise[:CALIBRATION], noise[CALIBRATION:])


def _sequences() -> Built:
    series = torch.randn(CALIBRATION + MEASURED, 4, 64).cumsum(-1) / 4
    blocks = [TemporalBlock(4, 32, 1), *(TemporalBlock(32, 32, 2**power) for power in range(1, 4))]
    model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(32 * 64, 10)).eval()
    return Built(model, series[:CALIBRATION], series[CALIBRATION:])


def subjects() -> list[Subject]:
    """One of each."""
    return [
        Subject("papers", "unet", lambda: on_pictures(UNet(), 64, adapted=True)),
        Subject("papers", "dcgan_generator", _generated),
        Subject("papers", "dcgan_discriminator", lambda: on_pictures(_dcgan_discriminator(), 32, adapted=True)),
        Subject("papers", "tcn", _sequences),
        Subject("papers", "vdsr", lambda: on_pictures(VDSR(), 32, channels=1, adapted=True)),
    ]
