"""Calibration: scales of populations from the activations of sample data, exact and independent of batching."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from snnconv.calibration.stored_samples import StoredChunks, StoredParts
from snnconv.data.batches import Inputs, batches, number_of_batches
from snnconv.errors import InputError
from snnconv.progress import ProgressCallback, told
from snnconv.storage.atomic import explained

#: Samples that one pass of the original network sees at once; fixed, so results never depend on the user's batches.
CHUNK = 32
HELD_OUT_EVERY = 5
#: Samples of an iterable that are kept in memory; of those held out of more, a share as large as theirs.
_MOST_BYTES = 2**28


@dataclass(frozen=True)
class Calibration:
    """Sample inputs in chunks, in an order that depends on their content alone; some are held out for verification.

    Chunks of samples that do not fit the memory are read as they are asked for. So many samples were given in all.
    """

    fitted: Sequence[Inputs]
    held_out: tuple[Inputs, ...]
    given: int

    def through(self, function: Callable[[Inputs], Inputs]) -> Calibration:
        """What ``function`` makes of every chunk."""
        held_out = tuple(map(function, self.held_out))
        if isinstance(self.fitted, StoredChunks):
            return Calibration(self.fitted.through(function), held_out, self.given)
        return Calibration(tuple(map(function, self.fitted)), held_out, self.given)


def collect(data: Any, progress: ProgressCallback | None = None) -> tuple[Sequence[Inputs], Tensor | None]:
    """The inputs of all batches of ``data``, checked, and the targets of the first batch.

    Batches of an iterable that are more than fit the memory lie in a temporary file. Raises ``InputError`` for data
    that is empty, mis-shaped, or holds NaN or infinite values, ``StorageError`` where the file cannot be written.
    """
    found = told(progress, "reading calibration samples", batches(data, "calibration"), number_of_batches(data))
    held = isinstance(data, (Tensor, tuple, list))  # by whoever asks
    parts: list[Inputs] | StoredParts = []
    first, targets, size = None, None, 0
    for inputs, labels in found:
        if first is None:
            first, targets = inputs, labels
        _check(inputs, first)
        size += 0 if held else sum(tensor.numel() * tensor.element_size() for tensor in inputs)
        with explained("calibration samples"):
            if size > _MOST_BYTES and isinstance(parts, list):
                parts = _stored(parts)
            parts.append(inputs)
    return parts, targets


def _stored(parts: list[Inputs]) -> StoredParts:
    found = StoredParts()
    for part in parts:
        found.append(part)
    return found


def _check(part: Inputs, first: Inputs) -> None:
    """Raise ``InputError`` unless ``part`` is a batch of samples like those of the ``first``."""
    if part is first and all(tensor.dim() == 1 and tensor.is_floating_point() for tensor in first):
        raise InputError(
            f"calibration: input 0 has shape {list(first[0].shape)}; the first axis counts samples, so it needs another"
        )
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


def arrange(parts: Sequence[Inputs], batch_axis: int | None) -> Calibration:
    """Samples of all ``parts`` in the order of their digests, cut into chunks; every fifth sample is held out.

    Without a batch axis every part is one sample.
    """
    if batch_axis is None:
        shapes = {tuple(tensor.shape for tensor in part) for part in parts}
        if len(shapes) > 1:
            listed = " and ".join(str([list(shape) for shape in part]) for part in sorted(shapes))
            raise InputError(f"calibration: the model fixes its first axis, and samples have the shapes {listed}")
    places = [
        (_digest(sample), number, row)
        for number, part in enumerate(parts)
        for row, sample in enumerate(_singles(part, batch_axis))
    ]
    places.sort(key=itemgetter(0))
    held_out = places[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    fitted = [place for position, place in enumerate(places, start=1) if position % HELD_OUT_EVERY]
    chunked = _chunks(parts, fitted, batch_axis)
    if not isinstance(parts, StoredParts):
        return Calibration(tuple(chunked), tuple(_chunks(parts, held_out, batch_axis)), len(places))
    size = sum(tensor.numel() * tensor.element_size() for tensor in chunked[0]) // len(chunked[0][0])
    kept = held_out[: max(CHUNK, _MOST_BYTES // HELD_OUT_EVERY // max(1, size))]
    return Calibration(chunked, tuple(_chunks(parts, kept, batch_axis)), len(places))


def _singles(part: Inputs, batch_axis: int | None) -> Iterator[Inputs]:
    """The samples of a part."""
    if batch_axis is None:
        yield tuple(tensor.detach() for tensor in part)
        return
    lengths = {tensor.shape[0] for tensor in part}
    if len(lengths) > 1:
        raise InputError(f"calibration: the inputs of one batch differ in length: {sorted(lengths)}")
    for row in range(part[0].shape[0]):
        yield tuple(tensor[row : row + 1].detach() for tensor in part)


def _chunks(parts: Sequence[Inputs], places: Sequence[tuple[bytes, int, int]], batch_axis: int | None) -> StoredChunks:
    """The samples at ``places`` in chunks; without a batch axis each is one."""

    def sample(number: int, row: int) -> Inputs:
        if batch_axis is None:
            return tuple(tensor.detach() for tensor in parts[number])
        if isinstance(parts, StoredParts):
            return parts.rows(number, row)
        return tuple(tensor[row : row + 1].detach() for tensor in parts[number])

    def made(group: Sequence[tuple[bytes, int, int]]) -> Inputs:
        samples = [sample(number, row) for _, number, row in group]
        return samples[0] if size == 1 else tuple(torch.cat(column) for column in zip(*samples, strict=True))

    size = 1 if batch_axis is None else CHUNK
    return StoredChunks([places[start : start + size] for start in range(0, len(places), size)], made)


def _digest(sample: Inputs) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for tensor in sample:
        digest.update(tensor.contiguous().cpu().numpy().tobytes())
    return digest.digest()
