"""A causal network token by token: what earlier positions sent is stored, and only new ones are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from snnconv.data.batches import Inputs, as_inputs, check_like
from snnconv.data.shapes import BATCH, Shape
from snnconv.errors import ConfigurationError, InputError
from snnconv.graph.front import entered
from snnconv.graph.graph import WHOLE_TYPES
from snnconv.graph.interpreter import Handler
from snnconv.graph.output_types import typed
from snnconv.graph.positions import ALL, NEW
from snnconv.graph.step_nodes import Stored, step_numbers
from snnconv.graph.stepwise import stepwise
from snnconv.simulators.observers import Observer
from snnconv.simulators.recorders import Rasters, SpikeCounter
from snnconv.simulators.run import Run
from snnconv.simulators.window import Window, WindowChunk
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.input_range import InputRange
from snnconv.spiking.synapses import FanOut
from snnconv.surroundings import own_surroundings

#: What the axis of positions is called where an input has another shape.
_POSITIONS = "positions"


class Decoder:
    """Runs a causal network position by position, as text is written: the spiking form of a cache of keys and values.

    A window is a function of what arrived, so a train that later positions read is stored as the value it was decoded
    to, with its spikes where they are counted. A step runs the populations of its own positions, and pairs them with
    what is stored; outputs and spikes are those of the whole sequence at these positions. That no position depends on a
    later one is proved on the structure of the network, mask by mask.

    Args:
        network: A network in a pipeline, made for sequences ``[N, length, ...]``, whose output has one entry for each
            position.

    Raises:
        ConfigurationError: The network is not causal, has no closed form, or cannot be run position by position; the
            text says where.

    Example:
        >>> decoder = snnconv.Decoder(causal)  # of a language model
        >>> scores = decoder.step(tokens[:, :3])  # the prompt
        >>> following = scores[:, -1:].argmax(-1)
        >>> scores = decoder.step(following)  # what was said before is not run again
    """

    def __init__(self, network: NetworkBase) -> None:
        if not network.has_closed_form or network.plan.input.spiking:
            raise ConfigurationError(
                "a decoder needs a pipeline whose populations wait for their sources to end, neurons with a closed "
                "form, and an input of real or whole numbers: convert with schedule=Pipeline() and input='real'"
            )
        graph = network.complete_graph()
        if graph.batch_axis is None:
            raise ConfigurationError("a decoder needs a network that takes a batch: convert it with several sequences")
        if graph.masks:
            raise ConfigurationError(
                "a decoder takes no masks that come with every sample: convert without them, for texts of one length"
            )
        taken = graph.front or graph
        lengths = {shape[1] if len(shape) > 1 else None for shape in taken.inputs.values()}
        length = lengths.pop()
        if lengths or not isinstance(length, int) or length < 2:
            raise ConfigurationError(
                f"a decoder needs inputs with the positions of a sequence on axis 1, and the network takes "
                f"{', '.join(str([*shape]) for shape in taken.inputs.values())}"
            )
        #: Number of positions that a sequence can have; ``snnconv.resized`` makes a network for another one.
        self.length = length
        self._whole = network
        found = stepwise(graph, length)
        self._axes, self._stored = found.axes, found.stored
        shapes: list[Shape] = [*found.graph.inputs.values()]
        nothing = InputRange(network.like.new_zeros(1), network.like.new_ones(1))
        ranges = [*network.input_ranges, *[nothing] * (len(shapes) - len(network.input_ranges))]
        self._network = NetworkBase(found.graph, network.populations, network.plan, shapes, ranges, network.densities)
        for gate, route in self._network.execution_plan.routes.items():
            if not route.candidates.isdisjoint(self._stored):
                raise ConfigurationError(f"{gate} compares spikes of earlier positions: run whole sequences")
        for node, population in network.populations.items():
            axis = population.channel_axis
            if axis is not None and found.axes[node][axis] in (NEW, ALL) and len(population.scale) > 1:
                raise ConfigurationError(
                    f"{population.name} has a scale for every position: convert the model with normalization='layer'"
                )
        self.reset()

    def reset(self) -> None:
        """Forget all positions: the next step begins other sequences, of another batch if need be."""
        #: Number of positions that were given since the last reset.
        self.position = 0
        self._samples = 0
        self._counted = True
        self._rooms: dict[str, dict[str, Tensor]] = {"values": {}, "spikes": {}}

    @own_surroundings()
    def step(self, *tokens: Tensor) -> Any:
        """The output for the next positions, in the original's own type.

        Args:
            tokens: The next positions of every sequence, ``[N, n, ...]``: one token each, or several at once.

        Returns:
            What the network gives for whole sequences, at these positions.

        Raises:
            InputError: No tokens, more than there are positions left, other shapes or types than the network takes, or
                another number of sequences than before.
            ConfigurationError: The network was moved to another type or device since.
        """
        output = self._run(self._check(tokens), [])
        self._counted = False
        return output

    @own_surroundings()
    def run(self, tokens: Tensor | Sequence[Tensor], *, record: Sequence[str] = ()) -> Run:
        """The same with spikes and synaptic operations of these positions; over all steps they add up to those of
        ``SpikingNetwork.run`` on the whole sequence.

        A spike that later positions read has its synapses to all of them, however many will be run.

        Args:
            tokens: The next positions, ``[N, n, ...]``, or several such inputs.
            record: Names of populations whose rasters ``[T, N, ...]`` to keep, or "rasters" for all; axes of positions
                hold those of the step, those of keys all up to them.

        Returns:
            The output and what was counted.

        Raises:
            InputError: As ``step``.
            ConfigurationError: As ``step``; earlier positions were not counted, or there is no population of a name.
        """
        if not self._counted:
            raise ConfigurationError(
                "earlier positions came by step, which counts no spikes: reset(), and give all of them to run"
            )
        network = self._network
        nodes = list(network.populations) if "rasters" in record else [network.node_of(name) for name in record]
        inputs = self._check(as_inputs(tokens, "input"))
        first, rasters = self.position, Rasters(nodes)
        at = {node: self._places(node, first, first + inputs[0].shape[1]) for node in self._axes}
        synapses, populations = self._whole.synapses, network.populations.items()
        whole, by_layer = synapses.fan_out, synapses.fan_out_by_layer
        fan_outs = {
            node: FanOut.of(whole[node][places], by_layer[node][places]) for node, places in at.items() if node in whole
        }
        counter = SpikeCounter(network, fan_outs=fan_outs)
        output = self._run(inputs, [counter, rasters] if nodes else [counter])
        return Run(
            output=output,
            steps=torch.full((self._samples,), network.timing.latency if network.timing is not None else 0),
            samples=self._samples,
            spikes=counter.spikes(),
            input_spikes=0.0,
            synops=counter.synops(),
            synops_by_layer=counter.synops_by_layer(),
            synops_are_bound=bool(synapses.bounds),
            neurons={each.name: torch.empty(each.shape, device="meta")[at[node]].numel() for node, each in populations},
            rasters=rasters.result(network) if nodes else {},
        )

    def _places(self, node: str, first: int, end: int) -> tuple[slice, ...]:
        """Where in one sample of ``node`` the neurons are that a step from position ``first`` up to ``end`` runs."""
        spans = {NEW: slice(first, end), ALL: slice(0, end)}
        return tuple(spans.get(axis, slice(None)) for axis in self._axes[node][1:])

    def _check(self, tokens: Sequence[Tensor]) -> Inputs:
        inputs, whole, like = as_inputs(tokens, "input"), self._whole, self._network.like
        if (like.dtype, like.device) != (whole.like.dtype, whole.like.device):
            raise ConfigurationError(
                f"the network was moved to {whole.like.dtype} on {whole.like.device} since the decoder was made of it "
                f"in {like.dtype} on {like.device}: make another one"
            )
        taken = whole.graph.front or whole.graph
        shapes = [(BATCH, _POSITIONS, *shape[2:]) for shape in taken.inputs.values()]
        types = [WHOLE_TYPES[taken.whole[name]] if name in taken.whole else whole.like.dtype for name in taken.inputs]
        check_like(inputs, shapes, types, whole.like.device, "input")
        samples, count = inputs[0].shape[:2]
        if count == 0:
            raise InputError("input: there are no tokens; a step takes the next one of every sequence, or several")
        if self.position + count > self.length:
            raise InputError(
                f"input: {count} more after {self.position} positions, and the network has {self.length}: reset() "
                "begins anew; snnconv.resized makes a network for more, where the model has them"
            )
        if self._samples not in (0, samples):
            raise InputError(f"input: {samples} sequences after {self._samples}: reset() begins others")
        return inputs

    def _run(self, tokens: Inputs, observers: Sequence[Observer]) -> Any:
        samples, count = tokens[0].shape[:2]
        numbers = step_numbers(self.position, count, samples)
        graph = self._network.complete_graph()
        if graph.front is not None:
            graph = replace(graph, front=replace(graph.front, constants={**graph.front.constants, **numbers}))
        inputs = entered(graph, tokens)
        if self.position == 0:  # what a step that was broken off left is of another batch
            self._rooms = {"values": {}, "spikes": {}}
        for observer in observers:
            observer.begin(samples)
        chunk = _Step(Window(self._network), inputs, observers, numbers, partial(self._room, count=count), self._stored)
        with torch.no_grad():
            output, _ = chunk.run()
        self.position, self._samples = self.position + count, samples
        return typed(output, self._whole.graph.output_type)

    def _room(self, kind: str, name: str, like: Tensor, count: int) -> _Room:
        """Where values or spikes of all positions are stored under ``name``; those of the new ones are as ``like``."""
        axis, store = self._stored[name].axis, self._rooms[kind]
        if name not in store:
            store[name] = like.new_zeros([self.length if at == axis else size for at, size in enumerate(like.shape)])
        room, first = store[name], self.position
        return _Room(room.narrow(axis, 0, first), room.narrow(axis, first, count), room.narrow(axis, 0, first + count))


class _Room(NamedTuple):
    """What is stored of earlier positions, the place for that of new ones, and both."""

    earlier: Tensor
    new: Tensor
    both: Tensor


class _Step(WindowChunk):
    """One step of a decoder: its new positions, beside what is stored of earlier ones."""

    def __init__(
        self,
        simulator: Window,
        inputs: Inputs,
        observers: Sequence[Observer],
        numbers: Mapping[str, Tensor],
        room: Callable[[str, str, Tensor], _Room],
        stored: Mapping[str, Stored],
    ) -> None:
        super().__init__(simulator, inputs, 0, observers)
        self._numbers, self._room, self._stored = numbers, room, stored

    def given(self) -> dict[str, Tensor]:
        inputs = dict(zip(self.network.graph.inputs, self.inputs, strict=False))  # those that are stored come after
        for name, (source, _) in self._stored.items():
            inputs[name] = self.network.like.new_empty(0)  # of populations the room itself is read where it is joined
            if source in self.network.graph.inputs:
                room = self._room("values", name, inputs[source])
                inputs[name] = room.earlier
                room.new.copy_(inputs[source])
        return {**self._numbers, **inputs}

    def handlers(self) -> dict[str, Handler]:
        behind = {f"{source}.whole": name for name, (source, _) in self._stored.items()}
        return {**super().handlers(), **{node: partial(self._joined, name) for node, name in behind.items()}}

    def _forget(self, node: str) -> None:
        """Nothing: what comes later joins the spikes of new positions to those of earlier ones."""

    def _joined(self, name: str, arguments: Mapping[str, Any]) -> Tensor:
        """What all positions sent, with that of the new ones stored; their spikes, too, if they are counted."""
        (_, new), source = arguments["tensors"], self._stored[name].source
        if source in self.spikes:
            spikes = self._room("spikes", name, self.spikes[source])
            self.spikes[name] = spikes.earlier
            spikes.new.copy_(self.spikes[source])
        room = self._room("values", name, new)
        room.new.copy_(new)
        return room.both
