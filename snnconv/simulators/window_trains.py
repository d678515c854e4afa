"""What a population does in a whole window, and the spike train that it stands for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coding import Quantized
from snnconv.spiking.population import Population


@dataclass(frozen=True)
class PopulationWindow:
    """What one population does in its window: the values it integrated (normalised), and what becomes of them."""

    population: Population
    values: Tensor
    found: Quantized

    def payloads(self) -> Tensor:
        """The train ``[T, ...]`` of the window, fired step by step."""
        neuron, code = self.population.window_neuron(self.population.channel_axis), self.population.code
        # As ``Code.quantize`` takes them: multiplied first, so that both round alike.
        state = neuron.listen(self.values * (code.steps // code.period), neuron.initial(self.values))
        payloads = []
        for t in range(code.steps):
            payload, state = neuron.fire(state, t)
            payloads.append(payload.clone())
        return torch.stack(payloads)
