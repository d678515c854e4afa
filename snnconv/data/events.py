"""Recordings of event cameras in the layout of N-MNIST (Orchard et al. 2015)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from snnconv.errors import ConfigurationError, InputError
from snnconv.surroundings import own_surroundings

_EVENT_BYTES = 5
#: Width and height of an N-MNIST recording.
NMNIST_SIZE = (34, 34)


@dataclass(frozen=True, eq=False)
class Events:
    """Events of one recording in order of the file: ``x``, ``y``, ``polarity`` (0 or 1) and ``time`` in microseconds.

    All int64 ``[K]``; ``size`` is width and height.
    """

    x: Tensor
    y: Tensor
    polarity: Tensor
    time: Tensor
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.time)

    @own_surroundings()
    def spikes(self, steps: int, step_length: int = 1000) -> Tensor:
        """Spikes ``[steps, 2 * height * width]`` of 0 and 1: whether an event fell in a step of a pixel and polarity.

        ``step_length`` is in microseconds; events after the last step are left out. The order of neurons is polarity,
        row, column. Raises ``ConfigurationError`` for numbers below 1.
        """
        if steps < 1 or step_length < 1:
            raise ConfigurationError(f"steps and step_length must be 1 or more, got {steps!r} and {step_length!r}")
        width, height = self.size
        step = self.time // step_length
        kept = step < steps
        neuron = (self.polarity * height + self.y) * width + self.x
        found = torch.zeros(steps, 2 * height * width, dtype=torch.float32)
        found[step[kept], neuron[kept]] = 1.0
        return found


@own_surroundings()
def read_events(path: str | os.PathLike[str], size: tuple[int, int] = NMNIST_SIZE) -> Events:
    """The events of a ``.bin`` file: 5 bytes each, which are x, y, then a bit of polarity and 23 of microseconds.

    Raises ``InputError`` for a file that is missing, empty or truncated, or whose events lie outside ``size`` (width,
    height), as those of a file of another kind do.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as events: {getattr(error, 'strerror', None) or error}") from error
    if not content:
        raise InputError(f"{file} is empty; a recording has at least one event of {_EVENT_BYTES} bytes")
    if len(content) % _EVENT_BYTES:
        raise InputError(
            f"{file} has {len(content)} bytes, which is no multiple of {_EVENT_BYTES}: it is truncated, or no "
            "recording in the layout of N-MNIST"
        )
    rows = torch.from_numpy(np.frombuffer(content, dtype=np.uint8).reshape(-1, _EVENT_BYTES).astype(np.int64))
    x, y, third, fourth, fifth = rows.unbind(1)
    width, height = size
    outside = ((x >= width) | (y >= height)).nonzero()
    if len(outside):
        at = int(outside[0])
        raise InputError(
            f"{file}: event {at} is at pixel ({int(x[at])}, {int(y[at])}), outside {width} x {height}: it is no "
            "recording in the layout of N-MNIST, or one of another size; pass size=(width, height)"
        )
    time = ((third & 0x7F) << 16) | (fourth << 8) | fifth
    return Events(x, y, third >> 7, time, size)
