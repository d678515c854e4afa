"""Shards: parts of a data set that are measured by themselves, whoever measures them, always cut at the same places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from snnconv.data.batches import Inputs, batches, pieces
from snnconv.errors import InputError


@dataclass(frozen=True)
class Shard:
    """Some ``inputs`` of a data set with their ``targets``: so many ``samples``, with so many ``before`` them.

    ``number`` counts shards from 0, ``ends_batch`` says whether they are the last of a batch.
    """

    number: int
    inputs: Inputs
    targets: Tensor | None
    before: int
    samples: int
    ends_batch: bool


def shards(data: Any, batch_axis: int | None, before: int = 0) -> Iterator[Shard]:
    """The batches of ``data`` in order, in shards of at most ``PIECE`` samples, read as they are asked for.

    So many samples lie ``before`` them, in other parts of the data set. Without a batch axis every batch is one sample.
    Raises ``InputError`` where there are none, one cannot be used, or only some have targets.
    """
    number, with_targets = 0, None
    for batch in batches(data, "data"):
        end = before + (1 if batch_axis is None else len(batch[0][0]))
        for inputs, targets in pieces(*batch, batch_axis):
            if with_targets not in (None, targets is not None):
                raise InputError("data: some batches have targets and some have none")
            with_targets = targets is not None
            samples = 1 if batch_axis is None else len(inputs[0])
            yield Shard(number, inputs, targets, before, samples, before + samples == end)
            number, before = number + 1, before + samples
