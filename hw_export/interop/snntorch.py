"""A rate-coded network as a module with neurons of snntorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coding.optional import imported
from coding.threshold import tie_tolerance
from hw_export.explicit.rate import RatePopulation, rate_network
from hw_export.interop.stream_network import ForeignNeurons, StreamNetwork
from snnconv.network import SpikingNetwork
from snnconv.surroundings import own_surroundings


@own_surroundings()
def to_snntorch(network: SpikingNetwork) -> StreamNetwork:
    """``network`` with ``snntorch.Leaky`` neurons without leak, spike for spike as under the clock.

    ``module.run(x, steps)`` gives output and rasters, ``module(x, state)`` one step. A potential is snntorch's, which
    takes the reset off at the next step. Gradients are those of snntorch's default surrogate. Raises
    ``ConfigurationError`` for anything but rate-coded integrate-and-fire neurons under ``Concurrent``.
    """
    snntorch = imported("snntorch", "snnconv[snntorch]")
    found = rate_network(network, "snntorch")
    neurons = {node: _LeakyNeurons(snntorch, each, found.dtype) for node, each in found.populations.items()}
    return StreamNetwork(found, dict(neurons))


@dataclass(frozen=True)
class _StreamSpike:
    """The clock's comparison, with snntorch's default surrogate gradient.

    snntorch itself fires above the threshold only, and in single precision.
    """

    slack: float

    def __call__(self, above: Tensor) -> Tensor:
        surrogate = torch.atan(torch.pi * above) / torch.pi
        return (above >= -self.slack).to(above.dtype) + (surrogate - surrogate.detach())


class _LeakyNeurons(ForeignNeurons):
    def __init__(self, snntorch: Any, population: RatePopulation, dtype: torch.dtype) -> None:
        super().__init__()
        self.initial_potential = population.initial_potential
        spike = _StreamSpike(tie_tolerance(dtype))
        self.neuron = snntorch.Leaky(beta=1.0, threshold=1.0, spike_grad=spike, reset_mechanism=population.reset)
        self.neuron.to(dtype)

    def forward(self, current: Tensor, potential: Tensor) -> tuple[Tensor, Tensor]:
        spikes, after = self.neuron(current, potential)
        return spikes, after
