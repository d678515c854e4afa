"""Decisions: the class that an output assigns to each sample."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from snnconv.errors import InputError

#: What is decided where no output neuron fired.
UNDECIDED = -1


def class_scores(output: Any) -> Tensor:
    """The first output, with class scores along axis 1; raises ``InputError`` where it cannot be that."""
    scores = next(leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor))
    if scores.dim() < 2 or scores.shape[1] < 2:
        raise InputError(
            f"evaluate needs class scores along axis 1 of the output, which has shape {list(scores.shape)}; for other "
            "outputs use verify, or compare snn(inputs) with model(inputs)"
        )
    return scores


def decisions(output: Any) -> Tensor:
    """The class each sample (or position) is assigned to: the largest score along axis 1 of the first output."""
    return class_scores(output).argmax(1)


def spike_decisions(output: Any) -> Tensor:
    """``decisions`` by scores of spikes, which are 0 for a silent neuron; ``UNDECIDED`` where all are silent."""
    scores = class_scores(output)
    return torch.where(scores.amax(1) > 0, scores.argmax(1), UNDECIDED)
