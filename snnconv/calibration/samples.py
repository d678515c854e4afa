"""Calibration: scales of populations from the activations of sample data, exact and independent of batching."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconv.data.batches import Inputs, batches, number_of_batches
from snnconv.errors import InputError
from snnconv.progress import ProgressCallback, told

#: Samples that one pass of the original network sees at once; fixed, so results never depend on the user's batches.
CHUNK = 32
HELD_OUT_EVERY = 5


@dataclass(frozen=True)
class Calibration:
    """Sample inputs in chunks, in an order that depends on their content alone; some are held out for verification."""

    fitted: tuple[Inputs, ...]
    held_out: tuple[Inputs, ...]

    def through(self, function: Callable[[Inputs], Inputs]) -> Calibration:
        """What ``function`` makes of every chunk."""
        return Calibration(tuple(map(function, self.fitted)), tuple(map(function, self.held_out)))


def collect(data: Any, progress: ProgressCallback | None = None) -> tuple[list[Inputs], Tensor | None]:
    """The inputs of all batches of ``data``, checked, and the targets of the first batch.

    Raises ``InputError`` for data that is empty, mis-shaped, or holds NaN or infinite values.
    """
    found = told(progress, "reading calibration samples", batches(data, "calibration"), number_of_batches(data))
    pairs = [*found]
    parts, (first, targets) = [inputs for inputs, _ in pairs], pairs[0]
    if all(tensor.dim() == 1 and tensor.is_floating_point() for tensor in first):
        raise InputError(
            f"calibration: input 0 has shape {list(first[0].shape)}; the first axis counts samples, so it needs another"
        )
    for part in parts:
        if len(part) != len(first):
            raise InputError(f"calibration: batches differ: {len(first)} inputs in one and {len(part)} in another")
        for position, (tensor, like) in enumerate(zip(part, first, strict=True)):
            one, other = ((t.shape[1:], t.dtype, t.device) for t in (tensor, like))
            if one != other:
                raise InputError(
                    f"calibration: batches differ: input {position} is {list(one[0])} {one[1]} on {one[2]} in one and "
                    f"{list(other[0])} {other[1]} on {other[2]} in another, batch axis aside"
                )
            if not bool(torch.isfinite(tensor).all()):
                raise InputError(f"calibration: input {position} holds NaN or infinite values")
    return parts, targets


def arrange(parts: Sequence[Inputs], batch_axis: int | None) -> Calibration:
    """Samples of all ``parts`` in the order of their digests, cut into chunks; every fifth sample is held out.

    Without a batch axis every part is one sample.
    """
    if batch_axis is None:
        shapes = {tuple(tensor.shape for tensor in part) for part in parts}
        if len(shapes) > 1:
            listed = " and ".join(str([list(shape) for shape in part]) for part in sorted(shapes))
            raise InputError(f"calibration: the model fixes its first axis, and samples have the shapes {listed}")
        samples = sorted((tuple(tensor.detach() for tensor in part) for part in parts), key=_digest)
    else:
        for part in parts:
            lengths = {tensor.shape[0] for tensor in part}
            if len(lengths) > 1:
                raise InputError(f"calibration: the inputs of one batch differ in length: {sorted(lengths)}")
        singles = (
            tuple(tensor[sample : sample + 1].detach() for tensor in part)
            for part in parts
            for sample in range(part[0].shape[0])
        )
        samples = sorted(singles, key=_digest)
    held_out = samples[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    fitted = [sample for position, sample in enumerate(samples, start=1) if position % HELD_OUT_EVERY]
    size = 1 if batch_axis is None else CHUNK
    return Calibration(_chunks(fitted, size), _chunks(held_out, size))


def _chunks(samples: Sequence[Inputs], size: int) -> tuple[Inputs, ...]:
    groups = (samples[start : start + size] for start in range(0, len(samples), size))
    return tuple(
        group[0] if size == 1 else tuple(torch.cat(column) for column in zip(*group, strict=True)) for group in groups
    )


def _digest(sample: Inputs) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for tensor in sample:
        digest.update(tensor.contiguous().cpu().numpy().tobytes())
    return digest.digest()
