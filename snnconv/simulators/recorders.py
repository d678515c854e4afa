"""Recorders: spikes counted, and outputs and rasters kept, while a simulation runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from snnconv.kernels.layouts import over_samples
from snnconv.kernels.neuron_weights import NeuronWeights
from snnconv.kernels.window_sums import Sums
from snnconv.simulators.observers import Observer, Samples, room_for
from snnconv.simulators.window_trains import PopulationWindow
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.synapses import FanOut


class SpikeCounter(Observer):
    """Spikes summed over neurons, samples and steps, and from them the synaptic operations.

    ``fan_outs`` are those of the network's synapses unless others are given.
    """

    of_windows = "sums"

    def __init__(
        self, network: NetworkBase, *, by_step: bool = False, fan_outs: Mapping[str, FanOut] | None = None
    ) -> None:
        self.network = network
        #: Spikes of all populations at every step, over all samples; empty unless asked for.
        self.by_step: list[float] = []
        self._wants_steps = by_step
        self.samples = 0
        self.input_spikes = 0.0
        populations = network.populations
        #: State updates by population, over all samples; a pipeline reports them, a stream updates every neuron.
        self.updates = dict.fromkeys(populations, 0.0)
        self._unit = {node: population.neuron.unit_payload for node, population in populations.items()}
        self._given = fan_outs
        #: Spikes by node and their sums by weights, as far as they came summed; the others by neuron.
        self._spikes: dict[str, float] = {}
        self._weighted: dict[NeuronWeights, float] = {}
        self._counts: dict[str, Tensor] = {}
        #: Where masks may take paths of a neuron: those that they leave, all, and its spikes times those left.
        self._left: dict[str, Tensor] = {}
        self._whole: dict[str, Tensor] = {}
        self._arriving: dict[str, Tensor] = {}

    @property
    def follows_steps(self) -> bool:
        return self._wants_steps

    @cached_property
    def _fan_outs(self) -> Mapping[str, FanOut]:
        return self.network.synapses.fan_outs if self._given is None else self._given

    def begin(self, samples: int) -> None:
        self.samples += samples

    def masked(self, left: Mapping[str, Tensor], whole: Mapping[str, Tensor]) -> None:
        self._left, self._whole = dict(left), dict(whole)

    def input(self, spikes: Tensor, position: int) -> None:
        self.input_spikes += float(spikes.sum(dtype=torch.float64))
        self._add(list(self.network.graph.inputs)[position], spikes)

    def payload(self, node: str, t: int, payload: Tensor, samples: Samples) -> None:
        counts = self._add(node, payload if self._unit[node] else payload.ne(0).to(payload.dtype))
        if self._wants_steps:
            self.by_step.extend([0.0] * (t + 1 - len(self.by_step)))
            self.by_step[t] += float(counts.sum())

    def fired(self, node: str, spikes: Tensor) -> None:
        self._spikes.setdefault(node, 0.0)
        _add_to(self._counts, node, spikes)

    def gate(self, node: str, payload: Tensor) -> None:
        self._add(node, payload.ne(0).to(payload.dtype))

    def product(self, node: str, pairs: Tensor) -> None:
        self._add(node, pairs)

    def updated(self, node: str, neurons: int) -> None:
        self.updates[node] += neurons

    def weights(self, node: str) -> Sequence[NeuronWeights]:
        return self._fan_outs[node]

    def window_sums(self, node: str, sums: Sums, neurons: int) -> None:
        assert self.network.timing is not None
        self.updates[node] += self.network.timing.listens[node] * neurons + sums.updates
        self._add_sums(node, sums.spikes, sums.weighted)

    def product_sum(self, node: str, pairs: float) -> None:
        self._add_sums(node, pairs, {each: each.of_sum(pairs) for each in self.weights(node)})

    def window_through_masks(self, node: str, spikes: Tensor) -> None:
        _add_to(self._arriving, node, self._over_samples(spikes.double() * self._left[node].to(spikes.device)))

    def gated(self, node: str, spikes: Tensor) -> None:
        self._add(node, spikes)

    def _over_samples(self, values: Tensor) -> Tensor:
        return values.clone() if self.network.batch_axis is None else over_samples(values)

    def _add(self, node: str, spikes: Tensor) -> Tensor:
        """Add ``spikes`` of all samples, and give their sums."""
        counts = self._over_samples(spikes)
        self.fired(node, counts)
        if node in self._left:
            self.window_through_masks(node, spikes)
        return counts

    def _add_sums(self, node: str, spikes: float, weighted: Mapping[NeuronWeights, float]) -> None:
        self._spikes[node] = self._spikes.get(node, 0.0) + spikes
        for weights in {*self.weights(node)}:
            self._weighted[weights] = self._weighted.get(weights, 0.0) + weighted[weights]

    def spikes(self) -> dict[str, float]:
        """Spikes by population name, over all samples."""
        return {
            population.name: self._spikes.get(node, 0.0)
            + (float(self._counts[node].sum(dtype=torch.float64)) if node in self._counts else 0.0)
            for node, population in self.network.populations.items()
        }

    def synops(self) -> dict[str, float]:
        """Synaptic operations by where the spikes came from, over all samples."""
        return self._operations({node: self._fan_outs[node].whole for node in self._spikes})

    def synops_by_layer(self) -> dict[str, float]:
        """The same with every weighted operator between two populations counted by itself."""
        return self._operations({node: self._fan_outs[node].by_layer for node in self._spikes})

    def pairs(self) -> float:
        """Those of ``synops`` that are pairs of spikes at products of two signals."""
        found = self.synops()
        return sum(found.get(node, 0.0) for node in self.network.execution_plan.products)

    def _operations(self, weights: Mapping[str, NeuronWeights]) -> dict[str, float]:
        """Spikes by ``weights`` of their neurons, by where they came from."""
        through = {
            node: spikes.cpu() / self._whole[node].clamp(min=1.0) for node, spikes in self._arriving.items()
        }  # spikes, each counted by the share of its paths that is left
        found: dict[str, float] = {}
        for node, own in weights.items():
            if node in through:
                found[node] = own.total(through[node])
            else:
                by_neuron = own.total(self._counts[node]) if node in self._counts else 0.0
                found[node] = self._weighted.get(own, 0.0) + by_neuron
        return {self.network.name_of(node): total for node, total in found.items()}


def _add_to(sums: dict[str, Tensor], node: str, counts: Tensor) -> None:
    if node in sums:
        sums[node] += counts
    else:
        sums[node] = counts.to(torch.float64, copy=True)  # others may count the same tensor


class OutputRecorder(Observer):
    """The decoded output after every step."""

    wants_output = True

    def __init__(self) -> None:
        self._steps: list[Any] = []
        self._final: list[tuple[int, Any, Samples]] = []
        self._samples = 0

    def begin(self, samples: int) -> None:
        self._samples = samples

    def output(self, t: int, output: Any, samples: Samples) -> None:
        if t == len(self._steps):
            self._steps.append(tree_map(lambda part: room_for(part, samples, self._samples), output))
        for target, value in zip(_leaves(self._steps[t]), _leaves(output), strict=True):
            target[samples] = value

    def stopped(self, t: int, output: Any, samples: Samples) -> None:
        self._final.append((t, output, samples))

    def result(self) -> Any:
        """Outputs ``[T, N, ...]`` in the nest of the network's output; a sample that stopped early keeps its last."""
        for t, output, samples in self._final:
            for step in self._steps[t + 1 :]:
                for target, value in zip(_leaves(step), _leaves(output), strict=True):
                    target[samples] = value
        return tree_map(lambda *parts: torch.stack(parts), *self._steps)


class PayloadSums(Observer):
    """The sum of the payloads of every neuron of chosen populations over time, ``[N, ...]`` by node."""

    of_windows = "everything"

    def __init__(self, nodes: Collection[str]) -> None:
        self.payloads: dict[str, Tensor] = {}
        self._nodes = {*nodes}
        self._samples = 0

    def begin(self, samples: int) -> None:
        self._samples = samples

    def payload(self, node: str, t: int, payload: Tensor, samples: Samples) -> None:
        if node not in self._nodes:
            return
        if node not in self.payloads:
            self.payloads[node] = room_for(payload, samples, self._samples)
        self.payloads[node][samples] += payload

    def window(self, node: str, window: PopulationWindow, samples: Samples) -> None:
        code = window.population.code
        self.payload(node, 0, window.found.values * (code.steps // code.period), samples)


class Rasters(Observer):
    """Payloads of chosen populations, ``[T, N, ...]``."""

    of_windows = "everything"

    def __init__(self, nodes: Sequence[str]) -> None:
        self.payloads: dict[str, list[Tensor]] = {node: [] for node in nodes}
        self._samples = 0

    def begin(self, samples: int) -> None:
        self._samples = samples

    def payload(self, node: str, t: int, payload: Tensor, samples: Samples) -> None:
        steps = self.payloads.get(node)
        if steps is None:
            return
        kept = self.kept(node, payload)
        if t == len(steps):
            steps.append(room_for(kept, samples, self._samples))
        steps[t][samples] = kept

    def kept(self, node: str, payload: Tensor) -> Tensor:
        """What is kept of a payload: all of it."""
        return payload

    def window(self, node: str, window: PopulationWindow, samples: Samples) -> None:
        if node in self.payloads:
            for t, payload in enumerate(window.payloads()):
                self.payload(node, t, payload, samples)

    def result(self, network: NetworkBase) -> dict[str, Tensor]:
        """Rasters by population name."""
        names = {node: population.name for node, population in network.populations.items()}
        return {names[node]: torch.stack(steps) for node, steps in self.payloads.items()}


def _leaves(nest: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(nest) if isinstance(leaf, Tensor)]
