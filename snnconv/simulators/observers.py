"""Observers: what a simulator tells as it goes, so that nothing has to be stored whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from snnconv.kernels.neuron_weights import NeuronWeights
from snnconv.kernels.window_sums import Sums
from snnconv.simulators.window_trains import PopulationWindow

#: Positions of samples in a batch; the slice of everything where there is no batch axis.
Samples = Tensor | slice


def room_for(part: Tensor, samples: Samples, total: int) -> Tensor:
    """Zeros for ``part`` (of ``samples``) and those of all other samples of a batch of ``total``."""
    return torch.zeros_like(part) if isinstance(samples, slice) else part.new_zeros(total, *part.shape[1:])


class Observer:
    """Called by a simulator as it goes; every method does nothing unless overridden.

    ``samples`` are the positions in the batch of the samples that are still running, ``[n]`` for payloads ``[n, ...]``;
    a network without a batch axis has no such positions, and ``samples`` is the slice of everything.
    Tensors may be reused after the call: copy what is kept.
    """

    #: Whether ``output`` is wanted; decoding after every step costs time.
    wants_output = False
    #: What is wanted of windows: nothing, what they sum to, or all of what every neuron does.
    of_windows: Literal["nothing", "sums", "everything"] = "nothing"
    #: Whether ``looked_up`` is wanted.
    wants_potentials = False
    #: Whether ``membrane`` is wanted; a stream then takes its steps one at a time.
    wants_membranes = False

    @property
    def follows_steps(self) -> bool:
        """Whether a stream tells the ``payload`` of every step, and not only how often neurons ``fired``."""
        return type(self).payload is not Observer.payload

    def begin(self, samples: int) -> None:
        """A batch of ``samples`` starts."""

    def masked(self, left: Mapping[str, Tensor], whole: Mapping[str, Tensor]) -> None:
        """Samples follow whose masks leave these paths ``[n, ...]`` of all ``[...]`` to each neuron of a source."""

    def input(self, spikes: Tensor, position: int) -> None:
        """Spikes of a spiking input at one step."""

    def payload(self, node: str, t: int, payload: Tensor, samples: Samples) -> None:
        """Normalised payloads of a population after step ``t``."""

    def membrane(self, node: str, t: int, potential: Tensor, samples: Samples) -> None:
        """The clock alone: normalised potentials of a population after time step ``t``, without what spikes took off.

        In a pipeline only while it listens or fires, and first, as step -1, what is there before any step; of neurons
        whose state has no ``potential`` nothing.
        """

    def fired(self, node: str, spikes: Tensor) -> None:
        """Spikes of every neuron in some steps of a stream, summed over samples, for those who do not follow steps."""

    def gate(self, node: str, payload: Tensor) -> None:
        """What a max-pooling gate let through at one step."""

    def product(self, node: str, pairs: Tensor) -> None:
        """Pairs of spikes that met at each element of a product of two signals ``[n, ...]``, over all steps."""

    def product_sum(self, node: str, pairs: float) -> None:
        """The sum of these over all elements and samples, where one element counts as much as another."""

    def updated(self, node: str, neurons: int) -> None:
        """In a pipeline: ``neurons`` of a population (of all samples) updated their state at one step."""

    def window(self, node: str, window: PopulationWindow, samples: Samples) -> None:
        """A population's whole window at once, instead of its payloads step by step, for those who want everything."""

    def weights(self, node: str) -> Sequence[NeuronWeights]:
        """By what the spikes of a population, or the pairs at a product, are to be summed in windows."""
        return ()

    def window_sums(self, node: str, sums: Sums, neurons: int) -> None:
        """Sums of a population's window over all ``neurons``, samples and steps, by ``weights`` too."""

    def window_through_masks(self, node: str, spikes: Tensor) -> None:
        """Spikes of every neuron ``[n, ...]`` in a population's window, of whose paths masks take some."""

    def looked_up(self, node: str, potentials: Tensor, samples: Samples) -> None:
        """In a pipeline: normalised potentials of a population with tables, when all that it receives has arrived."""

    def gated(self, node: str, spikes: Tensor) -> None:
        """Spikes that a max-pooling gate let through in a whole window."""

    def output(self, t: int, output: Any, samples: Samples) -> None:
        """The decoded output after step ``t``."""

    def stopped(self, t: int, output: Any, samples: Samples) -> None:
        """Samples that ended early after step ``t``, with their final output."""
