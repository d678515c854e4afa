"""snntorch 1.0: its leaky neurons without a leak in a loop over time steps, as its tutorials write it.

snntorch converts nothing: what a user does, and this does, is to scale activations as for sinabs
(`benchmarks.sinabs_peer.scale_activations`) and put a ``Leaky`` neuron, which resets by subtraction, in place of each
`nn.ReLU`. There are no calls of several steps.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.peer_imports import import_peer, peer_version
from benchmarks.sinabs_peer import scale_activations

_PERCENTILE = 99.9


class SnntorchModel:
    """A network with snntorch's neurons, as a `benchmarks.simulation.SpikingModel`."""

    def __init__(self, network: nn.Module, calibration: Tensor) -> None:
        snntorch = import_peer("snntorch")
        self._model = copy.deepcopy(network).eval()
        scale_activations(self._model, calibration, _PERCENTILE)
        self._neurons: list[nn.Module] = []
        for parent in list(self._model.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is nn.ReLU:
                    neuron = snntorch.Leaky(beta=1.0, init_hidden=True, reset_mechanism="subtract")
                    self._neurons.append(neuron)
                    setattr(parent, name, neuron)
        self._label = f"snntorch {peer_version('snntorch')} ({_PERCENTILE:g}%, layer-wise)"

    @property
    def label(self) -> str:
        return self._label

    @property
    def neurons(self) -> Sequence[nn.Module]:
        return self._neurons

    def reset(self) -> None:
        for neuron in self._neurons:
            neuron.reset_mem()  # type: ignore[operator]

    def advance(self, images: Tensor, steps: int) -> Tensor:
        return torch.stack([self._model(images) for _ in range(steps)])

    def spikes(self, output: Tensor, steps: int) -> Tensor:
        return output.reshape(1, -1).sum(1, dtype=torch.float64)  # a layer is called for one step at a time
