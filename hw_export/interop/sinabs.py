"""A rate-coded network as a module with neurons of sinabs."""

from __future__ import annotations

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
def to_sinabs(network: SpikingNetwork) -> StreamNetwork:
    """``network`` with ``sinabs.layers.IAF`` neurons, spike for spike as under the clock.

    They fire one spike a step at most, have no lowest potential, and reset to zero or take 1 off, as ``network`` does.
    ``module.run(x, steps)`` gives output and rasters, ``module(x, state)`` one step. Gradients are those of sinabs'
    default surrogate. Raises ``ConfigurationError`` for anything but rate-coded integrate-and-fire neurons under
    ``Concurrent``.
    """
    layers, activation = imported("sinabs.layers", "sinabs"), imported("sinabs.activation", "sinabs")
    found = rate_network(network, "sinabs")
    neurons = {node: _SinabsNeurons(layers, activation, each, found.dtype) for node, each in found.populations.items()}
    return StreamNetwork(found, dict(neurons))


class _SinabsNeurons(ForeignNeurons):
    def __init__(self, layers: Any, activation: Any, population: RatePopulation, dtype: torch.dtype) -> None:
        super().__init__()
        self.initial_potential = population.initial_potential
        resets = {"zero": activation.MembraneReset(), "subtract": activation.MembraneSubtract(subtract_value=1.0)}
        # sinabs fires where the threshold is reached, as the clock does, which takes ties for reached.
        self.neuron = layers.IAF(
            spike_threshold=torch.tensor(1.0 - tie_tolerance(dtype), dtype=dtype),
            spike_fn=activation.SingleSpike,
            reset_fn=resets[population.reset],
            min_v_mem=None,
        )

    def forward(self, current: Tensor, potential: Tensor) -> tuple[Tensor, Tensor]:
        self.neuron.v_mem = potential
        spikes: Tensor = self.neuron(current.unsqueeze(1)).squeeze(1).to(current.dtype)
        after: Tensor = self.neuron.v_mem
        self.neuron.v_mem = current.new_zeros(0)  # state is explicit: the layer keeps none
        return spikes, after
