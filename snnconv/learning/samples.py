"""Labelled samples as batches of input spikes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from snnconv.data.events import Events
from snnconv.errors import ConfigurationError, InputError
from snnconv.learning.encoders import Encoder
from snnconv.storage.digests import data_digest, option_text
from snnconv.surroundings import own_surroundings


@runtime_checkable
class SpikeSamples(Protocol):
    """Samples whose spikes are made when their batch is asked for."""

    def __len__(self) -> int:
        """Number of samples N."""
        ...

    @property
    def labels(self) -> Tensor | None:
        """Classes, int64 ``[N]``, which decisions are judged by; ``None`` where samples have none."""
        ...

    def targets(self, positions: Tensor) -> Tensor:
        """What a loss compares the output for a batch with, such as its classes."""
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

    Both are tensors, or what ``torch.as_tensor`` makes such of. Raises ``InputError`` unless there is one label, a
    integer of 0 or more, for every sample.
    """

    @own_surroundings()
    def __init__(self, values: Any, labels: Any, encoder: Encoder) -> None:
        values = as_tensor(values, "values")
        self.labels = checked_labels(labels, len(values) if values.dim() else 0)
        self.values: Tensor = values.flatten(1)
        self.encoder = encoder
        # Encoded once for nothing, so that values out of range are found before the first epoch.
        encoder(self.values[:1], torch.Generator())
        if not bool(((self.values >= 0.0) & (self.values <= 1.0)).all()):
            raise InputError("values lie outside 0 to 1, or are NaN; scale them to [0, 1]")

    def __len__(self) -> int:
        return len(self.values)

    def targets(self, positions: Tensor) -> Tensor:
        return self.labels[positions]

    @property
    def inputs(self) -> int:
        return self.values.shape[1]

    def batch(self, positions: Tensor, generator: torch.Generator) -> Tensor:
        return self.encoder(self.values[positions], generator)

    def digest(self) -> str:
        encoder = option_text("encoder", self.encoder, "checkpoint")
        return f"{encoder} {data_digest((self.values, self.labels), 'samples')}"


class EventSamples:
    """``recordings`` of one size with ``labels`` ``[N]``, in ``steps`` steps of ``step_length`` microseconds.

    Raises ``InputError`` for labels that do not fit or recordings of different sizes, ``ConfigurationError`` for
    numbers below 1.
    """

    @own_surroundings()
    def __init__(self, recordings: Sequence[Events], labels: Any, *, steps: int = 300, step_length: int = 1000) -> None:
        self.labels = checked_labels(labels, len(recordings))
        if steps < 1 or step_length < 1:
            raise ConfigurationError(f"steps and step_length must be 1 or more, got {steps!r} and {step_length!r}")
        sizes = {recording.size for recording in recordings}
        if len(sizes) > 1:
            raise InputError(f"recordings have the sizes {sorted(sizes)}; all need the same")
        self.recordings, self.steps, self.step_length = recordings, steps, step_length

    def __len__(self) -> int:
        return len(self.recordings)

    def targets(self, positions: Tensor) -> Tensor:
        return self.labels[positions]

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


class TrainSamples:
    """Input trains ``events`` ``[T, N, inputs]`` with the trains ``wanted`` ``[T, N, outputs]``, all of 0 and 1.

    Samples without classes, for ``SpikeTrainLoss``: nothing is decided, so that accuracies are NaN. Raises
    ``InputError`` for other shapes, types or values.
    """

    labels = None

    @own_surroundings()
    def __init__(self, events: Tensor, wanted: Tensor) -> None:
        for name, trains in (("events", events), ("wanted", wanted)):
            if trains.dim() != 3 or not trains.is_floating_point() or 0 in trains.shape:
                raise InputError(
                    f"{name} are {trains.dtype} {list(trains.shape)}; trains are floating-point, [steps, samples, "
                    "neurons], and not empty"
                )
            if not bool(((trains == 0.0) | (trains == 1.0)).all()):
                raise InputError(f"{name} have values other than 0 and 1; a neuron fires in a step or does not")
        if events.shape[:2] != wanted.shape[:2]:
            raise InputError(
                f"events have {list(events.shape[:2])} steps and samples, wanted {list(wanted.shape[:2])}; make both "
                "alike"
            )
        self.events, self.wanted = events, wanted

    def __len__(self) -> int:
        return self.events.shape[1]

    @property
    def inputs(self) -> int:
        return self.events.shape[2]

    def targets(self, positions: Tensor) -> Tensor:
        return self.wanted[:, positions]

    def batch(self, positions: Tensor, generator: torch.Generator) -> Tensor:
        return self.events[:, positions]

    def digest(self) -> str:
        return data_digest((self.events, self.wanted), "trains")


def as_tensor(values: Any, what: str) -> Tensor:
    """``values`` as a tensor; raises ``InputError`` for what cannot be one."""
    try:
        # Copied from numpy, whose arrays may be read-only or have negative strides.
        return torch.from_numpy(values.copy()) if isinstance(values, np.ndarray) else torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{what} are a {type(values).__name__} that is no tensor ({error}); pass a tensor") from error


def checked_labels(labels: Any, samples: int) -> Tensor:
    """Labels as int64; raises ``InputError`` unless they are a class of 0 or more for each of at least one sample."""
    found = as_tensor(labels, "labels")
    if samples == 0:
        raise InputError("there is no sample; give at least one")
    integers = not (found.is_floating_point() or found.is_complex() or found.dtype == torch.bool)
    if not integers or found.shape != (samples,):
        raise InputError(
            f"labels are {found.dtype} {list(found.shape)}; {samples} samples need torch.int64 [{samples}]"
        )
    if int(found.min()) < 0:
        raise InputError(f"a label is {int(found.min())}; classes count from 0")
    return found.long()
