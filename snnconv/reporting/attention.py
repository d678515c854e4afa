"""Attention maps: what every query of an attention gives to every key, in spikes and in the original."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from snnconv.data.batches import Inputs
from snnconv.network import SpikingNetwork
from snnconv.plots.attention_maps import attention_axes, shares_of

#: Queries and keys that a map has at most; more are taken together as means.
MOST_TOKENS = 24
#: Maps that are shown at most, of all heads and layers.
MOST_MAPS = 16


@dataclass(frozen=True)
class AttentionMap:
    """Weights ``[queries, keys]`` of one head for one sample, each query's adding up to 1, of both networks.

    ``tokens`` are the queries and keys before neighbours were taken together.
    """

    name: str
    head: int
    spiking: Tensor
    original: Tensor
    tokens: tuple[int, int]


def attention_maps(network: SpikingNetwork, inputs: Inputs) -> tuple[AttentionMap, ...]:
    """The maps of the first of the samples ``inputs``, as the graph takes them; none for a network without attention.

    Layers and heads are chosen evenly where there are more than can be shown.
    """
    if network.batch_axis is None:
        return ()
    first = tuple(tensor[:1] for tensor in inputs)
    found = []
    for node in attention_axes(network):
        spiking, original = (shares_of(network, node, first, original=original) for original in (False, True))
        found += [(network.name_of(node), head, *both) for head, both in enumerate(zip(spiking, original, strict=True))]
    step = max(1, -(-len(found) // MOST_MAPS))
    return tuple(
        AttentionMap(name, head, _fewer(spiking), _fewer(original), (original.shape[0], original.shape[1]))
        for name, head, spiking, original in found[::step]
    )


def _fewer(weights: Tensor) -> Tensor:
    """``weights`` of at most so many queries and keys: means over neighbouring queries, sums over neighbouring keys."""
    blocks = [-(-size // MOST_TOKENS) for size in weights.shape]
    sums = _block_sums(_block_sums(weights, blocks[0]).T, blocks[1]).T
    return sums / _block_sums(torch.ones_like(weights[:, :1]), blocks[0])


def _block_sums(values: Tensor, size: int) -> Tensor:
    """Sums of ``size`` rows each; the last may be of fewer."""
    missing = -len(values) % size
    return F.pad(values, (0, 0, 0, missing)).reshape(-1, size, values.shape[1]).sum(1)
