"""The spikes of a few neurons of every population, for one sample at a time, as a raster shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnconv.plots.spikes import evenly
from snnconv.simulators.recorders import Rasters
from snnconv.spiking.base import NetworkBase

#: Neurons of a population among which those are looked for that fire.
_CANDIDATES = 2048


@dataclass(frozen=True)
class ShownTrain:
    """Payloads ``[T, rows]`` of some neurons of a population in one sample, from time step ``start`` on.

    ``firing`` of ``watched`` neurons fired at all, and the population has ``neurons``.
    """

    name: str
    start: int
    payloads: Tensor
    firing: int
    watched: int
    neurons: int


class ChosenTrains(Rasters):
    """Payloads of evenly spaced neurons of chosen populations; what the others fire is not kept."""

    def __init__(self, network: NetworkBase, nodes: Sequence[str]) -> None:
        super().__init__(nodes)
        self._network = network
        self._chosen = {node: torch.tensor(evenly(network.populations[node].neurons, _CANDIDATES)) for node in nodes}

    def kept(self, node: str, payload: Tensor) -> Tensor:
        """The payloads of the neurons that were chosen, ``[N, neurons]``."""
        rows = 1 if self._network.batch_axis is None else len(payload)
        return payload.reshape(rows, -1)[:, self._chosen[node].to(payload.device)]

    def trains(self, sample: int, rows: int) -> list[ShownTrain]:
        """The trains of at most ``rows`` neurons that fire in ``sample``, population by population."""
        found, starts = [], _starts(self._network)
        for node, steps in self.payloads.items():
            whole = torch.stack(steps)[:, sample].cpu()
            firing = whole.ne(0).any(0).nonzero().flatten()
            shown = whole[:, firing[evenly(len(firing), rows)]]
            population = self._network.populations[node]
            counts = (len(firing), whole.shape[1], population.neurons)
            found.append(ShownTrain(population.name, starts.get(node, 0), shown, *counts))
        return found


def _starts(network: NetworkBase) -> Mapping[str, int]:
    """The time step at which the window of a population begins, by node; none where all run at once."""
    return {} if network.timing is None else network.timing.starts
