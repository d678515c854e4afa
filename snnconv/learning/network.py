"""Fully connected layers of double-exponential neurons that learn from the gradients of their own spikes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neurons.double_exponential import DoubleExponential
from snnconv.errors import ConfigurationError, InputError
from snnconv.learning.layer import LayerSpikes, Spikes, run_layer
from snnconv.learning.rule import GradientRule
from snnconv.surroundings import own_surroundings
from snnconv.training.options import check_integers

_NEURON, _RULE = DoubleExponential(), GradientRule()


class LayeredNetwork(nn.Module):
    """``sizes`` (inputs, hidden..., outputs) of fully connected layers; all neurons fire, the outputs too.

    A layer sees in the same step what the layer below emitted. Weights start as those of ``torch.nn.Linear``, plus
    ``weight_offset`` over the number of inputs, biases at 0; the random numbers are torch's. ``rule`` says which
    gradients backward computes. Raises ``ConfigurationError`` for fewer than two sizes or one below 1.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        neuron: DoubleExponential = _NEURON,
        rule: GradientRule = _RULE,
        bias: bool = True,
        weight_offset: float = 0.0,
    ) -> None:
        super().__init__()
        if len(sizes) < 2:
            raise ConfigurationError(f"sizes must be two or more, got {list(sizes)}")
        for size in sizes:
            check_integers(1, size=size)
        self.sizes, self.neuron, self.rule = tuple(sizes), neuron, rule
        self.layers = nn.ModuleList(
            nn.Linear(inputs, outputs, bias=bias) for inputs, outputs in itertools.pairwise(sizes)
        )
        with torch.no_grad():
            for layer in self.linear:
                layer.weight.add_(weight_offset / layer.in_features)
                if layer.bias is not None:
                    layer.bias.zero_()

    @property
    def linear(self) -> list[nn.Linear]:
        """The synapses of every layer, input side first."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    @property
    def classes(self) -> int:
        """Number of output neurons."""
        return self.sizes[-1]

    def extra_repr(self) -> str:
        return f"neuron={self.neuron}, rule={self.rule}"

    @own_surroundings()
    def forward(self, events: Tensor) -> list[LayerSpikes]:
        """Spikes of every layer, the last being the output, for input spikes ``events`` ``[T, N, inputs]`` of 0 and 1.

        Raises ``InputError`` for another shape, type or device.
        """
        self._check(events)
        below, found = Spikes(events, events), []
        for layer in self.linear:
            found.append(run_layer(below, layer.weight, layer.bias, self.neuron, self.rule))
            below = found[-1].spikes
        return found

    def _check(self, events: Tensor) -> None:
        weight = self.linear[0].weight
        if events.dim() != 3 or events.shape[2] != self.sizes[0] or 0 in events.shape:
            raise InputError(
                f"input spikes have shape {list(events.shape)}; the network takes [steps, samples, {self.sizes[0]}]"
            )
        if events.dtype != weight.dtype or events.device != weight.device:
            raise InputError(
                f"input spikes are {events.dtype} on {events.device}, the network is {weight.dtype} on "
                f"{weight.device}; move or convert one of them with .to()"
            )
