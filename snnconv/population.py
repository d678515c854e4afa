"""A population: neurons that stand for one activation of the original network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neurons import Neuron
from snnconv.graph import Source
from snnconv.operators import Activation


@dataclass(frozen=True)
class Population:
    """Activation, neuron and scale of the neurons that replace one activation.

    ``name`` is what reports call it, ``node`` its node in the graph. ``scale`` is ``[channels]`` along
    ``channel_axis``, or ``[1]``: the value that one payload of 1 stands for, in the network's own units. ``shape`` is
    that of one sample, ``silent_channels`` are those that no calibration sample activated.
    """

    name: str
    node: str
    activation: Activation
    neuron: Neuron
    scale: Tensor
    channel_axis: int | None
    shape: tuple[int, ...]
    source: Source
    inserted: bool = False
    silent_channels: tuple[int, ...] = ()

    @property
    def neurons(self) -> int:
        """Number of neurons for one sample."""
        return int(torch.Size(self.shape).numel())

    def broadcast_scale(self, dims: int) -> Tensor:
        """The scale in a shape that broadcasts over a current with ``dims`` axes."""
        if self.channel_axis is None:
            return self.scale.reshape(())
        shape = [1] * dims
        shape[self.channel_axis] = -1
        return self.scale.view(shape)
