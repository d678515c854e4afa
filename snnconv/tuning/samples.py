"""Samples to tune on: in memory, checked, and a part of them held out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnconv.data.batches import IGNORED_TARGET, Inputs, batches
from snnconv.errors import InputError
from snnconv.metrics.targets import class_indices
from snnconv.network import SpikingNetwork
from snnconv.spiking.decisions import class_scores
from snnconv.storage.digests import data_digest
from snnconv.training.seeding import order_of_epoch

#: In place of an epoch's number, for the order that held-out samples are taken from.
_DIVIDING = 2**31


class TuningSamples:
    """The samples of ``data``; ``trained`` are the positions of those to train on, ``measured`` of those held out.

    Raises ``InputError`` for samples that do not fit ``network``, fewer than two of them, and, where they are to be
    ``labelled``, labels that are no classes of its output; those of ``ignore_index`` are left out.
    """

    def __init__(
        self, data: Any, network: SpikingNetwork, held_out: float, seed: int, labelled: bool, ignore_index: int
    ) -> None:
        parts = [(network.check(inputs, "data"), targets) for inputs, targets in batches(data, "data")]
        self.inputs: Inputs = tuple(torch.cat(column) for column in zip(*(inputs for inputs, _ in parts), strict=True))
        count = len(self.inputs[0])
        self.labels = None
        if labelled:
            self.labels = _labels([targets for _, targets in parts], network, self.inputs, ignore_index)
        self._seed = seed
        order = order_of_epoch(count, seed, _DIVIDING)
        if self.labels is not None:
            told = (self.labels != IGNORED_TARGET).view(len(self.labels), -1).any(1).to(order.device)
            order = order[told[order]]
        count = len(order)
        if count < 2:
            raise InputError(
                f"data: there are {count} samples to tune on; it takes two or more, since some are held out"
            )
        measured = min(count - 1, max(1, round(held_out * count)))
        self.measured, self.trained = order[:measured].sort().values, order[measured:].sort().values

    def order(self, epoch: int) -> Tensor:
        """The positions to train on, in the order of an epoch."""
        return self.trained[order_of_epoch(len(self.trained), self._seed, epoch)]

    def batch(self, positions: Tensor) -> tuple[Inputs, Tensor | None]:
        """Inputs and labels, if there are any, of the samples at ``positions``."""
        inputs = tuple(tensor[positions] for tensor in self.inputs)
        return inputs, None if self.labels is None else self.labels[positions]

    def digest(self) -> str:
        """What tells these samples from others."""
        return data_digest([(self.inputs, self.labels)], "data")


def _labels(parts: list[Tensor | None], network: SpikingNetwork, inputs: Inputs, ignore_index: int) -> Tensor:
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        raise InputError("data has samples without targets; tune with targets='decisions', or give (inputs, targets)")
    scores = class_scores(network.original(tuple(tensor[:1] for tensor in inputs)))
    wanted = [len(inputs[0]), *scores.shape[2:]]
    labels = class_indices(torch.cat(found).to(inputs[0].device), wanted, scores.shape[1], ignore_index)
    if not bool((labels != IGNORED_TARGET).any()):
        raise InputError(f"data: every target is {ignore_index}, which leaves the sample out")
    return labels
