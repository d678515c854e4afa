"""A population: neurons that stand for one activation of the original network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from coding import Code
from neurons import Neuron, TableLookup, WindowNeuron
from snnconv.errors import ConfigurationError
from snnconv.graph.graph import Source
from snnconv.graph.operators import ActivationFunction
from snnconv.kernels.layouts import along_axis


@dataclass(frozen=True)
class Population:
    """Activation, code, neuron and scale of the neurons that replace one activation.

    ``name`` is what reports call it, ``node`` its node in the graph. ``scale`` is ``[channels]`` along
    ``channel_axis``, or ``[1]``: the value that the code's 1.0 stands for, in the network's own units. ``shift``, of
    the same size, is a current added to every presentation of the value (bias correction). ``shape`` is that of one
    sample, ``silent_channels`` are those that no calibration sample activated. ``tables`` are those of neurons that
    look their spike up, in units of the scale (see ``neurons.TableLookup``).
    """

    name: str
    node: str
    activation: ActivationFunction
    code: Code
    neuron: Neuron
    scale: Tensor
    shift: Tensor
    channel_axis: int | None
    shape: tuple[int, ...]
    source: Source
    inserted: bool = False
    silent_channels: tuple[int, ...] = ()
    tables: Tensor | None = None

    @property
    def neurons(self) -> int:
        """Number of neurons for one sample."""
        return int(torch.Size(self.shape).numel())

    @property
    def computes_function(self) -> bool:
        """Whether a window computes a function that was fitted to currents, by tables or by the code's coefficients."""
        return self.tables is not None or self.code.computes is not None

    def window_neuron(self, axis: int | None) -> WindowNeuron:
        """The neuron of a pipeline with all that it needs, for potentials whose channels lie along ``axis``."""
        if self.tables is None:
            assert isinstance(self.neuron, WindowNeuron)
            return self.neuron
        assert isinstance(self.neuron, TableLookup)
        return self.neuron.with_tables(self.tables, None if self.channel_axis is None else axis)

    def coded_size(self, values: Tensor) -> Tensor:
        """What the code sees of each of the activation's values."""
        return self.activation.coded_size(values, getattr(self.neuron, "negative", "graded"))

    @property
    def largest(self) -> float:
        """The size of a value that it carries at most, in units of its scale."""
        return 1.0 if self.tables is not None else self.code.maximum

    def sizes(self, currents: Tensor, values: Tensor) -> Tensor:
        """Of ``values`` of the activation for ``currents`` that which ``largest`` bounds.

        Tables end where the currents did that they were fitted to: there it is the larger of both.
        """
        sizes = self.coded_size(values)
        return sizes if self.tables is None else torch.maximum(sizes, currents.abs())

    def slope(self, potential: Tensor) -> Tensor:
        """Slope of the activation at potentials in units of the scale."""
        return self.activation.slope(potential * self.broadcast_scale(potential.dim()))

    def unbounded(self, potential: Tensor) -> Tensor:
        """What the activation would be without its bound; potentials and values are in units of the scale."""
        return self.activation.unbounded(potential, self.broadcast_scale(potential.dim()))

    def broadcast(self, values: Tensor, dims: int) -> Tensor:
        """``values``, one per channel, in a shape that broadcasts over a current with ``dims`` axes."""
        return along_axis(values, self.channel_axis, dims)

    def broadcast_scale(self, dims: int) -> Tensor:
        """The scale in a shape that broadcasts over a current with ``dims`` axes."""
        return self.broadcast(self.scale, dims)

    def window_scale(self, dims: int) -> Tensor:
        """What a payload of 1 stands for in a window, broadcastable: rate code spreads its 1.0 over many payloads."""
        return self.broadcast_scale(dims) * (self.code.period / self.code.steps)


def check_neurons_wait(populations: Iterable[Population]) -> None:
    """Raise ``ConfigurationError`` for a population whose neurons cannot fire in a window of their own."""
    for population in populations:
        if not isinstance(population.neuron, WindowNeuron):
            raise ConfigurationError(
                f"{population.name}: {type(population.neuron).__name__} neurons fire while they integrate, and cannot "
                "wait for a window of their own in a pipeline; use neuron='integrate-fire', or "
                "schedule=Concurrent(steps) with rate, phase or burst code"
            )
