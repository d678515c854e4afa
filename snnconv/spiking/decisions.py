"""Decisions: the class that an output assigns to each sample."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from snnconv.errors import InputError

#: What is decided where no output neuron fired.
UNDECIDED = -1


def first_output(output: Any) -> Tensor:
    """The first tensor of an output, which is what decisions are made by."""
    return next(leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor))


def class_scores(output: Any) -> Tensor:
    """The first output, with class scores along axis 1; raises ``InputError`` where it cannot be that."""
    scores = first_output(output)
    if not scores.is_floating_point():
        raise InputError(
            f"class scores are needed, and the first output holds {scores.dtype}, which are decisions already: leave "
            "argmax, or the comparison, out of the model"
        )
    if scores.dim() < 2 or scores.shape[1] < 2:
        raise InputError(
            f"class scores are needed along axis 1 of the first output, which has shape {list(scores.shape)}"
        )
    return scores


def decisions(output: Any) -> Tensor:
    """The class each sample (or position) is assigned to: the largest score along axis 1 of the first output.

    A first output of whole numbers, such as that of argmax, holds the decisions themselves.
    """
    first = first_output(output)
    return class_scores(output).argmax(1) if first.is_floating_point() else first.long()


def spike_decisions(output: Any) -> Tensor:
    """``decisions`` by scores of spikes, which are 0 for a silent neuron; ``UNDECIDED`` where all are silent."""
    scores = class_scores(output)
    return torch.where(scores.amax(1) > 0, scores.argmax(1), UNDECIDED)
