"""Labelled samples as batches of input spikes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from snnconv.data.events import Events
from snnconv.errors import ConfigurationError, InputError
from snnconv.learning.encoders import Encoder


class SpikeSamples(Protocol):
    """Samples whose spikes are made when their batch is asked for."""

    @property
    def labels(self) -> Tensor:
        """Classes, int64 ``[N]``."""
        ...

    @property
    def inputs(self) -> int:
        """Number of input neurons."""
        ...

    def batch(self, positions: Tensor, generator: torch.Generator) -> Tensor:
        """Spikes ``[T, len(positions), inputs]`` of 0 and 1; ``generator`` makes the draws, if any."""
        ...

    def digest(self) -> str:
        """What tells these samples from others."""
        ...


class EncodedSamples:
    """Values ``[N, ...]`` in [0, 1] with ``labels`` ``[N]``, which ``encoder`` turns into spikes.

    Raises ``InputError`` unless there is one label, int64 and 0 or more, for every sample.
    """

    def __init__(self, values: Tensor, labels: Tensor, encoder: Encoder) -> None:
        check_labels(labels, len(values) if values.dim() else 0)
        self.values, self.labels, self.encoder = values.flatten(1), labels, encoder
        # Encoded once for nothing, so that values out of range are found before the first epoch.
        encoder(self.values[:1], torch.Generator())
        if not bool(((self.values >= 0.0) & (self.values <= 1.0)).all()):
            raise InputError("values lie outside 0 to 1, or are NaN; scale them to [0, 1]")

    @property
    def inputs(self) -> int:
        return self.values.shape[1]

    def batch(self, positions: Tensor, generator: torch.Generator) -> Tensor:
        return self.encoder(self.values[positions], generator)

    def digest(self) -> str:
        found = hashlib.blake2b(f"{self.encoder!r} {self.values.dtype}".encode(), digest_size=16)
        for tensor in (self.values, self.labels):
            found.update(f"{list(tensor.shape)}".encode())
            found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()


class EventSamples:
    """``recordings`` of one size with ``labels`` ``[N]``, in ``steps`` steps of ``step_length`` microseconds.

    Raises ``InputError`` for labels that do not fit or recordings of different sizes, ``ConfigurationError`` for
    numbers below 1.
    """

    def __init__(
        self, recordings: Sequence[Events], labels: Tensor, *, steps: int = 300, step_length: int = 1000
    ) -> None:
        check_labels(labels, len(recordings))
        if steps < 1 or step_length < 1:
            raise ConfigurationError(f"steps and step_length must be 1 or more, got {steps!r} and {step_length!r}")
        sizes = {recording.size for recording in recordings}
        if len(sizes) > 1:
            raise InputError(f"recordings have the sizes {sorted(sizes)}; all need the same")
        self.recordings, self.labels, self.steps, self.step_length = recordings, labels, steps, step_length

    @property
    def inputs(self) -> int:
        width, height = self.recordings[0].size
        return 2 * width * height

    def batch(self, positions: Tensor, generator: torch.Generator) -> Tensor:
        chosen = [self.recordings[position] for position in positions.tolist()]
        return torch.stack([recording.spikes(self.steps, self.step_length) for recording in chosen], 1)

    def digest(self) -> str:
        found = hashlib.blake2b(f"events {self.steps} {self.step_length}".encode(), digest_size=16)
        for recording in self.recordings:
            found.update(f"{recording.size} {len(recording)}".encode())
            for tensor in (recording.x, recording.y, recording.polarity, recording.time):
                found.update(tensor.contiguous().numpy().tobytes())
        found.update(self.labels.cpu().contiguous().numpy().tobytes())
        return found.hexdigest()


def check_labels(labels: Tensor, samples: int) -> None:
    """Raise ``InputError`` unless ``labels`` are a class of 0 or more for each of at least one of ``samples``."""
    if samples == 0:
        raise InputError("there is no sample; give at least one")
    if labels.dtype != torch.int64 or labels.shape != (samples,):
        raise InputError(
            f"labels are {labels.dtype} {list(labels.shape)}; {samples} samples need torch.int64 [{samples}]"
        )
    if int(labels.min()) < 0:
        raise InputError(f"a label is {int(labels.min())}; classes count from 0")
