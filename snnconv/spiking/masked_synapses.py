"""Synapses that are left where masks come with samples: a pair that a mask forbids is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from snnconv.data.shapes import BATCH, concrete
from snnconv.graph.affine_regions import Regions
from snnconv.graph.operators.sample_masks import AllowedPairs
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.synapses import path_counts


def synapses_left(network: NetworkBase, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The share of its synapses that ``masks`` leave each neuron, ``[n, ...]``, by source, where they take any.

    Paths are counted with masks and without: with every weight one they are the gradients of all that arrives.
    """
    if not masks:
        return {}
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

    left, all_ = paths({name: mask.cpu() for name, mask in masks.items()}), paths({})
    return {name: left[name] / all_[name].clamp(min=1.0) for name in sources}
