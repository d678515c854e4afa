"""A rate-coded network as a module with neurons of norse."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coding.optional import imported
from hw_export.explicit.rate import RatePopulation, rate_network, strict_threshold
from hw_export.interop.stream_network import ForeignNeurons, StreamNetwork
from snnconv.network import SpikingNetwork
from snnconv.surroundings import own_surroundings


@own_surroundings()
def to_norse(network: SpikingNetwork) -> StreamNetwork:
    """``network`` with norse's neurons, spike for spike as under the clock.

    Neurons that reset to zero are norse's ``IAFCell``; it has none that reset by subtraction without a leak, so those
    are an ``SNNCell`` with a step of our own. ``module.run(x, steps)`` gives output and rasters, ``module(x, state)``
    one step. Gradients are those of norse's default surrogate. Raises ``ConfigurationError`` for anything but
    rate-coded integrate-and-fire neurons under ``Concurrent``.
    """
    iaf = imported("norse.torch.functional.iaf", "snnconv[norse]")
    found = rate_network(network, "norse")
    neurons = {node: _NorseNeurons(iaf, each, found.dtype) for node, each in found.populations.items()}
    return StreamNetwork(found, dict(neurons))


def _subtracting_step(current: Tensor, state: Any, p: Any, dt: float) -> tuple[Tensor, Any]:
    """A step of norse's integrate-and-fire neuron, but for the reset."""
    threshold = imported("norse.torch.functional.threshold", "snnconv[norse]").threshold
    potential = state.v + current
    spikes = threshold(potential - p.v_th, p.method, p.alpha)
    return spikes, state._replace(v=potential - spikes)


class _NorseNeurons(ForeignNeurons):
    def __init__(self, iaf: Any, population: RatePopulation, dtype: torch.dtype) -> None:
        super().__init__()
        self.initial_potential = population.initial_potential
        self._state = iaf.IAFFeedForwardState
        zero, threshold = torch.zeros((), dtype=dtype), torch.tensor(strict_threshold(dtype), dtype=dtype)
        parameters = iaf.IAFParameters(v_th=threshold, v_reset=zero)
        if population.reset == "zero":
            self.neuron = imported("norse.torch.module.iaf", "snnconv[norse]").IAFCell(parameters)
            return
        cell = imported("norse.torch.module.snn", "snnconv[norse]").SNNCell
        # A state is always given.
        self.neuron = cell(_subtracting_step, None, parameters)

    def forward(self, current: Tensor, potential: Tensor) -> tuple[Tensor, Tensor]:
        spikes, state = self.neuron(current, self._state(v=potential))
        return spikes, state.v
