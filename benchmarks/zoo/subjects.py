"""What the zoo measures: models of libraries with random weights, and the pictures that they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from benchmarks.datasets import imagenet

CALIBRATION = 64
MEASURED = 32


@dataclass(frozen=True)
class Built:
    """A model in eval mode, samples to calibrate it with, others to measure it with, and constant arguments."""

    model: nn.Module
    calibration: Tensor
    measured: Tensor
    constants: Mapping[str, Tensor] | None = None


@dataclass(frozen=True)
class Subject:
    """A row of the table: where a model comes from, its name there, and how it is made."""

    library: str
    name: str
    build: Callable[[], Built] = field(repr=False)

    @property
    def key(self) -> str:
        """What results are kept under."""
        return f"{self.library}/{self.name}"


def pictures(size: int, channels: int = 3) -> Tensor:
    """ImageNet pictures, ``[96, channels, size, size]``: the first 64 are for calibration."""
    images = imagenet(CALIBRATION + MEASURED).images
    return interpolate(images, size=(size, size), mode="area")[:, :channels]


def on_pictures(model: nn.Module, size: int, channels: int = 3, adapted: bool = False) -> Built:
    """``model`` as its library builds it, on pictures of ``size``; ``adapted``: with statistics of the pictures."""
    images = pictures(size, channels)
    model = with_statistics(model, images[:32]) if adapted else model.eval()
    return Built(model, images[:CALIBRATION], images[CALIBRATION:])


def with_statistics(model: nn.Module, samples: Tensor) -> nn.Module:
    """``model`` in eval mode, its batch norms with the running statistics of ``samples``.

    Scales that a library starts at zero, so that a residual branch adds nothing before training, become one: the
    branch would be a constant.
    """
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.momentum = None
            module.reset_running_stats()
            module.train()
            if module.weight is not None and not module.weight.any():
                nn.init.ones_(module.weight)
    with torch.no_grad():
        model(samples)
    return model.eval()
