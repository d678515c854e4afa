"""Assembly: the processes of a network, connected, and the model that each of them runs."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIFReset
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix, identity

from lava_runtime.behaviour import ends as end_models
from lava_runtime.behaviour import gate as gate_models
from lava_runtime.behaviour import neurons as neuron_models
from lava_runtime.behaviour import synapses as synapse_models
from lava_runtime.clock import StepClock
from lava_runtime.errors import RunError
from lava_runtime.journal import Page
from lava_runtime.layout import Shape, lava_order, lava_shape, to_lava
from lava_runtime.network import (
    BundleConnection,
    BundleConvolution,
    BundleGate,
    BundleLookupRule,
    BundleNetwork,
    BundlePopulation,
    BundleStreamRule,
    DenseSynapses,
    SparseSynapses,
)
from lava_runtime.processes.ends import Journal, SampleSink, SampleSource, Tie
from lava_runtime.processes.gate import MaximumGate
from lava_runtime.processes.neurons import LookupNeurons, SignedStreamNeurons, StreamNeurons, TableNeurons

#: Bits of a payload; 0 stands for a spike without one.
_PAYLOAD_BITS = 24
#: A LIF neuron of Lava forgets its current at once with this decay, and holds potentials finer than weights by 2^6.
_NO_CURRENT_MEMORY, _WEIGHT_EXPONENT = 4095, 6
#: Messages that a channel holds in Lava, and how few suffice.
_WIDEST_CHANNEL, _NARROWEST_CHANNEL = 64, 2
#: How much memory all channels may take before they hold fewer messages; never more than half of what is free.
_CHANNEL_BYTES = 1 << 28
_SHARED_MEMORY = "/dev/shm"

#: Models by process, in fixed and in floating point.
_OWN_MODELS: dict[type, tuple[type, type]] = {
    SampleSource: (end_models.SourceFixed, end_models.SourceFloat),
    SampleSink: (end_models.SinkFixed, end_models.SinkFloat),
    Tie: (end_models.TieModel, end_models.TieModel),
    Journal: (end_models.JournalFixed, end_models.JournalFloat),
    StreamNeurons: (neuron_models.StreamFixed, neuron_models.StreamFloat),
    SignedStreamNeurons: (neuron_models.SignedStreamFixed, neuron_models.SignedStreamFloat),
    TableNeurons: (neuron_models.TableFixed, neuron_models.TableFloat),
    LookupNeurons: (neuron_models.LookupFixed, neuron_models.LookupFloat),
    MaximumGate: (gate_models.MaximumGateFixed, gate_models.MaximumGateFloat),
}
_FAST_MODELS: dict[type, tuple[type, type]] = {
    Conv: (synapse_models.ConvFixed, synapse_models.ConvFloat),
    Dense: (synapse_models.DenseFixed, synapse_models.DenseFloat),
    Sparse: (synapse_models.SparseFixed, synapse_models.SparseFloat),
}


@dataclass
class Assembly:
    """Processes with their models, and the pages that they read and into which they write, of ``capacity`` samples."""

    network: BundleNetwork
    capacity: int
    fixed: bool
    fast: bool
    record: Collection[str]
    folder: str
    processes: list[Any] = field(default_factory=list)
    models: dict[Any, type] = field(default_factory=dict)
    samples: dict[str, Page] = field(default_factory=dict)
    sums: dict[str, Page] = field(default_factory=dict)
    spikes: dict[str, Page] = field(default_factory=dict)
    rasters: dict[str, Page] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ports: dict[tuple[str, int], Any] = {}
        self._groups: dict[Any, set[Any]] = {}
        self._targets: dict[str, Any] = {}
        self._channel_bytes = 0
        self._turn = Page.create(os.path.join(self.folder, "turn"), (3,), "int64")
        self._passed = 0

    def begin(self, samples: Mapping[str, np.ndarray]) -> tuple[int, int]:
        """Lay out ``samples``, no more than ``capacity``, and forget the run before, while nothing runs.

        Returns the time steps that Lava takes for them, and how many come before: Lava's own neurons begin a sample at
        multiples of the interval.
        """
        network, count = self.network, len(next(iter(samples.values())))
        for name, page in self.samples.items():
            page.mapped()[:count] = to_lava(samples[name], len(network.inputs[name].shape))
        for page in (*self.sums.values(), *self.spikes.values(), *self.rasters.values()):
            page.mapped()[...] = 0
        idle = -self._passed % network.interval
        self._turn.mapped()[:] = self._passed + idle, count, 0
        depths = [part.depth for part in network.populations.values()]
        depths += [output.depth for output in network.outputs.values()]
        steps = self._clock(max(depths)).last(count)
        self._passed += idle + steps
        return steps, idle

    def results(self, count: int) -> dict[str, np.ndarray]:
        """What the run of ``count`` samples yielded, by kind and name."""
        found = {f"outputs.{name}": page.mapped()[:count] for name, page in self.sums.items()}
        found |= {f"rasters.{name}": page.mapped()[:count] for name, page in self.rasters.items()}
        return found | {f"spikes.{name}": page.mapped() for name, page in self.spikes.items()}

    @property
    def channel_size(self) -> int:
        """How many messages a channel holds; ``RunError`` where shared memory has no room for the least."""
        room, needed = _CHANNEL_BYTES, max(1, self._channel_bytes)
        if os.path.isdir(_SHARED_MEMORY):
            system = os.statvfs(_SHARED_MEMORY)
            free = system.f_bavail * system.f_frsize
            if needed * _NARROWEST_CHANNEL > free:
                raise RunError(
                    f"{_SHARED_MEMORY} has {free >> 20} MiB left, the channels of this network need "
                    f"{needed * _NARROWEST_CHANNEL >> 20}: make it larger (docker run --shm-size)"
                )
            room = min(room, free // 2)
        return max(_NARROWEST_CHANNEL, min(_WIDEST_CHANNEL, room // needed))

    def build(self) -> None:
        """Make every process and connect them."""
        network = self.network
        sending = {connection.source for connection in network.connections}
        sending |= {gate.source for gate in network.gates.values()}
        for name, part in network.inputs.items():
            if name in sending:
                shape = lava_shape(part.shape)
                page = self.samples[name] = self._page("samples", (self.capacity, *shape), "int32")
                source = SampleSource(shape=shape, samples=page, repeat=part.repeat, clock=self._clock(0))
                self._ports[name, 0] = self._add(source, name).s_out
        for population in network.populations.values():
            self._add_population(population)
        receiving = {connection.target for connection in network.connections}
        for name, output in network.outputs.items():
            page = self._page("sums", (self.capacity, *output.shape), "int64" if self.fixed else "float64")
            self.sums[name] = page
            if name in receiving:  # nothing else would connect it with the rest
                clock = self._clock(output.depth)
                sink = SampleSink(shape=lava_shape(output.shape), sums=page, clock=clock)
                self._targets[name] = self._add(sink, name).a_in
        for gate in network.gates.values():
            self._add_gate(gate)
        for connection in network.connections:
            self._connect(connection)
        self._tie()

    def _clock(self, depth: int) -> StepClock:
        return StepClock(depth, self.network.interval, self.network.steps, self._turn)

    def _page(self, kind: str, shape: Shape, dtype: str) -> Page:
        index = len(getattr(self, kind))
        return Page.create(os.path.join(self.folder, f"{kind}.{index}"), shape, dtype)

    def _add(self, process: Any, part: str) -> Any:
        process.name = f"{type(process).__name__} of {part}"
        self.processes.append(process)
        self._groups[process] = {process}
        models = _OWN_MODELS.get(type(process))
        if models is None and self.fast:
            models = _FAST_MODELS.get(type(process))
        if models is not None:
            self.models[process] = models[0 if self.fixed else 1]
        return process

    def _journal(self, part: BundlePopulation | BundleGate) -> dict[str, Page | None]:
        self.spikes[part.name] = self._page("spikes", part.shape, "int64")
        if part.name in self.record:
            shape = (self.capacity, self.network.steps, *part.shape)
            self.rasters[part.name] = self._page("rasters", shape, "int32")
        return {"spikes": self.spikes[part.name], "raster": self.rasters.get(part.name)}

    def _add_population(self, population: BundlePopulation) -> None:
        if population.built_in:
            self._add_built_in(population)
            return
        rule, rank = population.rule, len(population.shape)
        kind: type[Any] = LookupNeurons if isinstance(rule, BundleLookupRule) else TableNeurons
        if isinstance(rule, BundleStreamRule):
            kind = StreamNeurons if rule.negative is None else SignedStreamNeurons
        neurons = kind(
            shape=lava_shape(population.shape),
            threshold=to_lava(population.threshold, rank),
            initial=to_lava(population.initial, rank),
            bias=to_lava(population.bias, rank),
            bias_every_step=population.bias_every_step,
            rule=rule,
            clock=self._clock(population.depth),
            **self._journal(population),
        )
        self._ports[population.name, 0] = self._add(neurons, population.name).s_out
        self._targets[population.name] = neurons.a_in

    def _add_built_in(self, population: BundlePopulation) -> None:
        """Lava's own neurons without leak; they fire above their threshold, where ours fire at it."""
        rank = len(population.shape)
        neurons = LIFReset(
            shape=lava_shape(population.shape),
            du=_NO_CURRENT_MEMORY if self.fixed else 1,
            dv=0,
            vth=int(population.threshold.max()) - (1 if self.fixed else 0.5),
            bias_mant=to_lava(population.bias, rank),
            bias_exp=_WEIGHT_EXPONENT if self.fixed else 0,
            reset_interval=self.network.interval,
            reset_offset=(population.depth + 1) % self.network.interval,
        )
        self._ports[population.name, 0] = self._add(neurons, population.name).s_out
        self._targets[population.name] = neurons.a_in
        journal = Journal(shape=neurons.s_out.shape, clock=self._clock(population.depth), **self._journal(population))
        self._join(neurons.s_out, self._add(journal, population.name).a_in)

    def _add_gate(self, gate: BundleGate) -> None:
        if (gate.name, 0) in self._ports:
            return
        if gate.source in self.network.gates:
            self._add_gate(self.network.gates[gate.source])
        process = MaximumGate(
            source_shape=lava_shape(self.network.source(gate.source).shape),
            shape=lava_shape(gate.shape),
            gate=gate,
            clock=self._clock(gate.depth),
            **self._journal(gate),
        )
        self._ports[gate.name, 0] = self._add(process, gate.name).s_out
        self._join(self._ports[gate.source, 0], process.a_in)

    def _join(self, sender: Any, receiver: Any) -> None:
        """Connect two ports; a map of a population is flattened or restored in Lava's order."""
        self._channel_bytes += int(np.prod(sender.shape, dtype=np.int64)) * (4 if self.fixed else 8)
        joined = self._groups[sender.process] | self._groups[receiver.process]
        for process in joined:
            self._groups[process] = joined
        if sender.shape != receiver.shape:
            sender = sender.reshape(receiver.shape)
        sender.connect(receiver)

    def _connect(self, connection: BundleConnection) -> None:
        source, target = self.network.source(connection.source), self.network.target(connection.target)
        bits = 0 if source.unit else _PAYLOAD_BITS
        synapses, between = connection.synapses, f"{connection.source} to {connection.target}"
        if isinstance(synapses, BundleConvolution):
            process = self._add(self._convolution(synapses, source.shape, bits), between)
        else:
            process = self._add(self._matrix(synapses, source.shape, target.shape, bits), between)
        self._join(self._delayed(connection.source, connection.delay - 1), process.s_in)
        self._join(process.a_out, self._targets[connection.target])

    def _delayed(self, name: str, steps: int) -> Any:
        """The port of ``name`` behind ``steps`` relays, which all of its connections share."""
        if (name, steps) not in self._ports:
            source = self.network.source(name)
            bits = 0 if source.unit else _PAYLOAD_BITS
            if len(source.shape) == 3:
                ones = np.ones((source.shape[0], 1, 1, 1), np.int8)
                relay = self._convolution(
                    BundleConvolution(ones, (1, 1), (0, 0), (1, 1), source.shape[0]), source.shape, bits
                )
            else:
                relay = self._weighted(Sparse, identity(source.shape[0], np.int8, "csr"), bits)
            self._add(relay, f"{name}, {steps} steps late")
            self._join(self._delayed(name, steps - 1), relay.s_in)
            self._ports[name, steps] = relay.a_out
        return self._ports[name, steps]

    def _convolution(self, synapses: BundleConvolution, source: Shape, bits: int) -> Any:
        # Lava flips the kernel, and orders it as targets, width, height, sources
        weight = np.ascontiguousarray(synapses.weight.transpose(0, 3, 2, 1)[:, ::-1, ::-1, :])
        return Conv(
            weight=weight,
            input_shape=lava_shape(source),
            padding=synapses.padding[::-1],
            stride=synapses.stride[::-1],
            dilation=synapses.dilation[::-1],
            groups=synapses.groups,
            num_message_bits=bits,
        )

    def _matrix(self, synapses: DenseSynapses | SparseSynapses, source: Shape, target: Shape, bits: int) -> Any:
        rows, columns = lava_order(target), lava_order(source)
        if isinstance(synapses, DenseSynapses):
            return self._weighted(Dense, synapses.weight[rows][:, columns], bits)
        parts = (synapses.data.astype(np.int16), synapses.indices, synapses.indptr)
        matrix = csr_matrix(parts, shape=(len(rows), len(columns)))
        return self._weighted(Sparse, matrix[rows][:, columns], bits)

    def _weighted(self, kind: type[Any], weights: Any, bits: int) -> Any:
        if not self.fixed:
            return kind(weights=weights.astype(float), num_message_bits=bits)
        # Lava drops the lowest bit of weights of mixed sign: twice the weight, halved after the sum, keeps it
        return kind(
            weights=weights.astype(np.int32) * 2, weight_exp=-1, sign_mode=SignMode.MIXED, num_message_bits=bits
        )

    def _tie(self) -> None:
        """Connect the parts of the network that nothing connects yet."""
        senders: dict[int, Any] = {}
        for process in self.processes:
            port = getattr(process, "s_out", None) or getattr(process, "a_out", None)
            group = id(self._groups[process])
            if port is not None and (group not in senders or port.size < senders[group].size):
                senders[group] = port
        first, *others = senders.values()
        for other in others:
            tie = self._add(Tie(first_shape=first.shape, second_shape=other.shape), "parts")
            self._join(first, tie.first_in)
            self._join(other, tie.second_in)
