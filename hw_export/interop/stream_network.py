"""Rate-coded networks as modules of other libraries: their neurons, the converted network's synapses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hw_export.explicit.maps import ConvolutionMap, plane
from hw_export.explicit.network import Connection
from hw_export.explicit.rate import RateNetwork, as_matrix
from snnconv.data.batches import check_like
from snnconv.data.shapes import BATCH
from snnconv.errors import ConfigurationError
from snnconv.surroundings import own_surroundings


class StreamState(NamedTuple):
    """Membrane potentials as the neurons keep them, and the last spikes, ``[N, ...]``, by population."""

    potentials: dict[str, Tensor]
    spikes: dict[str, Tensor]


class ForeignNeurons(nn.Module, ABC):
    """Neurons of another library with threshold 1 and explicit state."""

    initial_potential: float

    @abstractmethod
    def forward(self, current: Tensor, potential: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and the state of the membrane behind one step."""


class StreamNetwork(nn.Module):
    """A rate-coded network with another library's neurons; all populations run at every step, one after another.

        module = to_snntorch(network)
        output, rasters = module.run(x, steps=32)  # the mean output, spikes [T, N, ...] by population
        current, state = module(x, None)           # or one step at a time, with explicit state

    Currents are in units of the target's scale (``scales``), and every threshold is 1.
    """

    def __init__(self, found: RateNetwork, neurons: dict[str, ForeignNeurons]) -> None:
        super().__init__()
        self.steps = found.steps
        self.input_shape = tuple(found.explicit.inputs[found.input])
        #: What a spike stands for in the original network's units, by population.
        self.scales = {each.name: torch.from_numpy(each.scale) for each in found.populations.values()}
        self._input, self._output = found.input, found.output
        self._names = {node: each.name for node, each in found.populations.items()}
        self._incoming: dict[str, list[tuple[str, str]]] = {}  # sources and their synapses by target
        self.neurons, self.synapses = nn.ModuleDict(), nn.ModuleDict()
        self._keys = {node: f"population_{position}" for position, node in enumerate(neurons)}
        for node, module in neurons.items():
            self.neurons[self._keys[node]] = module
        for target in found.targets:
            self._incoming[target] = []
            for connection in found.into(target):
                key = f"connection_{len(self.synapses)}"
                self.synapses[key] = StreamSynapses(connection, found)
                self._incoming[target].append((connection.source, key))
            constant = torch.from_numpy(np.ascontiguousarray(found.current(target))).to(found.dtype)
            self.register_buffer(f"current_{len(self._incoming) - 1}", constant)

    @own_surroundings()
    def forward(self, x: Tensor, state: StreamState | None = None) -> tuple[Tensor, StreamState]:
        """The output's current ``[N, ...]`` of one step, and the state behind it. Raises ``InputError``."""
        like = self.get_buffer("current_0")
        check_like((x,), [(BATCH, *self.input_shape)], [like.dtype], like.device, "input")
        sent = {self._input: x}
        potentials, fired = {}, {}
        current = x
        for position, (target, incoming) in enumerate(self._incoming.items()):
            constant = self.get_buffer(f"current_{position}")
            current = constant.expand(len(x), *constant.shape)
            for source, key in incoming:
                current = current + self.synapses[key](sent[source])
            if target == self._output:
                break
            name, neurons = self._names[target], self.neurons[self._keys[target]]
            assert isinstance(neurons, ForeignNeurons)
            before = torch.full_like(current, neurons.initial_potential) if state is None else state.potentials[name]
            sent[target], potentials[name] = neurons(current, before)
            fired[name] = sent[target]
        return current, StreamState(potentials, fired)

    @own_surroundings()
    def run(self, x: Tensor, steps: int | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean output ``[N, ...]`` over ``steps`` and the spikes ``[T, N, ...]`` of every population, by name."""
        chosen = self.steps if steps is None else steps
        if chosen < 1:
            raise ConfigurationError(f"steps must be at least 1, got {steps!r}")
        state: StreamState | None = None
        outputs: list[Tensor] = []
        rasters: dict[str, list[Tensor]] = {name: [] for name in self._names.values()}
        for _ in range(chosen):
            current, state = self(x, state)
            outputs.append(current)
            for name, spikes in state.spikes.items():
                rasters[name].append(spikes)
        return torch.stack(outputs).mean(0), {name: torch.stack(each) for name, each in rasters.items()}


class StreamSynapses(nn.Module):
    """One connection, as a ``Conv2d`` or a ``Linear`` layer without bias."""

    def __init__(self, connection: Connection, found: RateNetwork) -> None:
        super().__init__()
        one = connection.map
        self.shape, self.taken = one.target_shape, plane(one.source_shape)
        if isinstance(one, ConvolutionMap):
            weight, channels = one.weight, one.source_shape[0]
            self.layer: nn.Module = nn.Conv2d(
                channels,
                one.target_shape[0],
                (weight.shape[2], weight.shape[3]),
                one.stride,
                one.padding,
                one.dilation,
                one.groups,
                bias=False,
                device="meta",
            )
        else:
            names = [found.explicit.name(end) for end in (connection.source, connection.target)]
            weight = as_matrix(one, f"from {names[0]} to {names[1]}")
            self.taken = (weight.shape[1],)
            self.layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        self.layer.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(weight)).to(found.dtype))

    def forward(self, events: Tensor) -> Tensor:
        current: Tensor = self.layer(events.reshape(len(events), *self.taken))
        return current.reshape(len(events), *self.shape)
