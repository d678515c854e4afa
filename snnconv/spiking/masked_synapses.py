"""Synapses that are left where masks come with samples: a pair that a mask forbids is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from snnconv.data.shapes import BATCH, concrete
from snnconv.graph.affine_regions import Regions
from snnconv.graph.operators.sample_masks import AllowedPairs
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.synapses import path_counts


class PathsLeft(NamedTuple):
    """Paths of each neuron of the sources whose synapses masks may take: those ``left`` in every sample, and all."""

    left: dict[str, Tensor]
    whole: dict[str, Tensor]


def paths_left(network: NetworkBase, masks: Mapping[str, Tensor]) -> PathsLeft:
    """Paths that ``masks`` leave each neuron ``[n, ...]``, by source, and those ``[...]`` without masks.

    With every weight one they are the gradients of all that arrives.
    """
    if not masks:
        return PathsLeft({}, {})
    constants = {name: tensor.cpu() for name, tensor in network.constants.items()}
    graph = replace(network.graph, constants=constants)
    shapes = {name: concrete(shape, {BATCH: 1}) for name, shape in graph.inputs.items()}
    regions = Regions(graph, set(network.populations), shapes)
    masked = {node.name for node in graph.nodes.values() if node.op in AllowedPairs.names}
    taking = {node.name for node in regions.nodes if node.name in regions.signals and masked & {*node.refs()}}
    behind = {name: regions.behind(name) for name in regions.sources}
    sources = [name for name in regions.sources if not taking.isdisjoint(behind[name] - regions.stations)]
    only = set().union(*(behind[name] for name in sources))
    width = len(next(iter(masks.values())))

    def paths(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with torch.enable_grad():
            leaves = {
                name: torch.ones(regions.shape(name, width), dtype=torch.float64, requires_grad=True)
                for name in sources
            }
            arrivals, *_ = path_counts(regions, leaves, only, given)
            total = sum((arrived.sum() for arrived in arrivals), torch.zeros((), dtype=torch.float64))
            found = torch.autograd.grad(total, [*leaves.values()], allow_unused=True)
        return {n: torch.zeros_like(leaves[n]) if g is None else g for n, g in zip(sources, found, strict=True)}

    left, whole = paths({name: mask.cpu() for name, mask in masks.items()}), paths({})
    batched = graph.batch_axis == 0
    return PathsLeft(left, {name: each[0] if batched else each for name, each in whole.items()})
