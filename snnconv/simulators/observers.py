"""Observers: what is counted or kept while a simulation runs, so that nothing has to be stored whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

if TYPE_CHECKING:
    from snnconv.network import SpikingNetwork
    from snnconv.simulators.window import WindowOf


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
    #: Whether the spikes of a window are wanted, not only its values.
    counts = False

    def begin(self, samples: int) -> None:
        """A batch of ``samples`` starts."""

    def input(self, spikes: Tensor, position: int) -> None:
        """Spikes of a spiking input at one step."""

    def payload(self, node: str, t: int, payload: Tensor, samples: Samples) -> None:
        """Normalised payloads of a population after step ``t``."""

    def gate(self, node: str, payload: Tensor) -> None:
        """What a max-pooling gate let through at one step."""

    def updated(self, node: str, neurons: int) -> None:
        """In a pipeline: ``neurons`` of a population (of all samples) updated their state at one step."""

    def window(self, node: str, window: WindowOf, samples: Samples) -> None:
        """A population's whole window at once, instead of its payloads step by step."""

    def gated(self, node: str, spikes: Tensor) -> None:
        """Spikes that a max-pooling gate let through in a whole window."""

    def output(self, t: int, output: Any, samples: Samples) -> None:
        """The decoded output after step ``t``."""

    def stopped(self, t: int, output: Any, samples: Samples) -> None:
        """Samples that ended early after step ``t``, with their final output."""


class SpikeCounter(Observer):
    """Spikes of every neuron, summed over samples and steps, and from them the synaptic operations."""

    counts = True

    def __init__(self, network: SpikingNetwork, *, by_step: bool = False) -> None:
        self.network = network
        #: Spikes of all populations at every step, over all samples; empty unless asked for.
        self.by_step: list[float] = []
        self._wants_steps = by_step
        self.samples = 0
        self.input_spikes = 0.0
        #: State updates by population, over all samples; a pipeline reports them, a stream updates every neuron.
        self.updates = dict.fromkeys(network.populations, 0.0)
        self._unit = {node: population.neuron.unit_payload for node, population in network.populations.items()}
        self._counts: dict[str, Tensor] = {}

    def begin(self, samples: int) -> None:
        self.samples += samples

    def input(self, spikes: Tensor, position: int) -> None:
        self.input_spikes += float(spikes.sum(dtype=torch.float64))
        self._add(list(self.network.graph.inputs)[position], self._over_samples(spikes))

    def payload(self, node: str, t: int, payload: Tensor, samples: Samples) -> None:
        counts = self._over_samples(payload if self._unit[node] else payload.ne(0).to(payload.dtype))
        self._add(node, counts)
        if self._wants_steps:
            self.by_step.extend([0.0] * (t + 1 - len(self.by_step)))
            self.by_step[t] += float(counts.sum())

    def gate(self, node: str, payload: Tensor) -> None:
        self._add(node, self._over_samples(payload.ne(0).to(payload.dtype)))

    def updated(self, node: str, neurons: int) -> None:
        self.updates[node] += neurons

    def window(self, node: str, window: WindowOf, samples: Samples) -> None:
        found, timing = window.found, self.network.timing
        assert found.spikes is not None and found.updates is not None and timing is not None
        self.updates[node] += timing.listens[node] * found.updates.numel() + float(
            found.updates.sum(dtype=torch.float64)
        )
        self._add(node, self._over_samples(found.spikes))

    def gated(self, node: str, spikes: Tensor) -> None:
        self._add(node, self._over_samples(spikes))

    def _over_samples(self, values: Tensor) -> Tensor:
        return values.clone() if self.network.batch_axis is None else _over_samples(values)

    def _add(self, node: str, counts: Tensor) -> None:
        if node in self._counts:
            self._counts[node] += counts
        else:
            self._counts[node] = counts.double()

    def spikes(self) -> dict[str, float]:
        """Spikes by population name, over all samples."""
        return {
            population.name: float(self._counts[node].sum(dtype=torch.float64)) if node in self._counts else 0.0
            for node, population in self.network.populations.items()
        }

    def synops(self) -> dict[str, float]:
        """Synaptic operations by where the spikes came from, over all samples."""
        return self._weighted(self.network.synapses.fan_out)

    def synops_by_layer(self) -> dict[str, float]:
        """The same with every weighted operator between two populations counted by itself."""
        return self._weighted(self.network.synapses.fan_out_by_layer)

    def _weighted(self, fan_out: dict[str, Tensor]) -> dict[str, float]:
        names = {node: population.name for node, population in self.network.populations.items()}
        return {
            names.get(node, node): float((counts.double().cpu() * fan_out[node]).sum())
            for node, counts in self._counts.items()
        }


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


class Rasters(Observer):
    """Payloads of chosen populations, ``[T, N, ...]``."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._payloads: dict[str, list[Tensor]] = {node: [] for node in nodes}
        self._samples = 0

    def begin(self, samples: int) -> None:
        self._samples = samples

    def payload(self, node: str, t: int, payload: Tensor, samples: Samples) -> None:
        steps = self._payloads.get(node)
        if steps is None:
            return
        if t == len(steps):
            steps.append(room_for(payload, samples, self._samples))
        steps[t][samples] = payload

    def window(self, node: str, window: WindowOf, samples: Samples) -> None:
        if node in self._payloads:
            for t, payload in enumerate(window.payloads()):
                self.payload(node, t, payload, samples)

    def result(self, network: SpikingNetwork) -> dict[str, Tensor]:
        """Rasters by population name."""
        names = {node: population.name for node, population in network.populations.items()}
        return {names[node]: torch.stack(steps) for node, steps in self._payloads.items()}


def _over_samples(values: Tensor) -> Tensor:
    """Sum over the first axis, along memory: torch takes several times longer over images with channels last."""
    dtype = torch.promote_types(values.dtype, torch.float32)  # half precision cannot count past a few hundred
    if values.dim() == 4 and values.is_contiguous(memory_format=torch.channels_last):
        return values.permute(0, 2, 3, 1).sum(0, dtype=dtype).permute(2, 0, 1)
    return values.sum(0, dtype=dtype)


def _leaves(nest: Any) -> list[Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(nest) if isinstance(leaf, Tensor)]
