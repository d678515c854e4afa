"""What everything that trains asks of its options and of its network."""

from __future__ import annotations

import torch
from torch import nn

from snnconv.errors import ConfigurationError, ModelError


def check_integers(least: int, **numbers: object) -> None:
    """Raise ``ConfigurationError`` unless each of ``numbers``, by name, is an integer of at least ``least``."""
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigurationError(f"{name} must be an integer of at least {least}, got {value!r}")


def check_precision(network: nn.Module) -> None:
    """Raise ``ModelError`` unless all parameters are in single or double precision."""
    for name, parameter in network.named_parameters():
        if parameter.dtype not in (torch.float32, torch.float64):
            raise ModelError(
                f"{name} is {parameter.dtype}, in which steps of training are lost; train in single or double "
                "precision: network.float()"
            )
