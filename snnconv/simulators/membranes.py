"""Membrane potentials of one population, kept while one sample runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError
from snnconv.simulators.clock import Clock
from snnconv.simulators.observers import Observer, Samples
from snnconv.spiking.base import NetworkBase


@dataclass(frozen=True)
class MembraneTraces:
    """Potentials and payloads of a population for one sample.

    ``potentials`` are those after each step, in units of the scale, ``[T, neurons]``; ``payloads`` are what was sent at
    the same steps. ``window`` are the steps in which neurons of a pipeline may fire, the last ones.
    """

    potentials: Tensor
    payloads: Tensor
    window: range | None


def membrane_traces(
    network: NetworkBase, inputs: Tensor | Sequence[Tensor], name: str, sample: int = 0
) -> MembraneTraces:
    """What the membranes of the population ``name`` do for one ``sample`` of a batch.

    Raises ``InputError`` for inputs that do not fit, ``ConfigurationError`` for a population or sample that there is
    not, and for neurons that tell no potential.
    """
    node, given = network.node_of(name), network.check(inputs)
    if network.batch_axis is not None:
        if not 0 <= sample < len(given[0]):
            raise ConfigurationError(f"there is no sample {sample}: the batch has {len(given[0])}")
        given = tuple(each[sample : sample + 1] for each in given)
    recorder = MembraneRecorder(node)
    Clock(network, seed=0).run(given, [recorder], before=sample)
    if not recorder.potentials:
        neuron = type(network.populations[node].neuron).__name__
        raise ConfigurationError(f"{name}: {neuron} neurons tell no membrane potential")
    timing = network.timing
    start = 0 if timing is None else timing.starts[node]
    potentials, silent = torch.stack(recorder.potentials), torch.zeros(start, *recorder.payloads[0].shape)
    payloads = torch.cat([silent, torch.stack(recorder.payloads)])
    window = None if timing is None else range(start, len(potentials))
    return MembraneTraces(potentials.flatten(1), payloads.flatten(1), window)


class MembraneRecorder(Observer):
    """Potentials of one population by time step, and payloads by step of its own time."""

    wants_membranes = True

    def __init__(self, node: str) -> None:
        self._node = node
        self._initial = torch.empty(0)  # which a pipeline tells before its first step
        self.potentials: list[Tensor] = []
        self.payloads: list[Tensor] = []

    def membrane(self, node: str, t: int, potential: Tensor, samples: Samples) -> None:
        if node == self._node:
            kept = potential.cpu().float().clone()
            if t < 0:
                self._initial = kept
                return
            # Nothing happens to neurons of a pipeline while none of their sources fires.
            self.potentials += [self.potentials[-1] if self.potentials else self._initial] * (t - len(self.potentials))
            self.potentials.append(kept)

    def payload(self, node: str, t: int, payload: Tensor, samples: Samples) -> None:
        if node == self._node:
            self.payloads.append(payload.cpu().float().clone())
