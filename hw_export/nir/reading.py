"""From a NIR graph or file to a torch module that runs it step by step, with what the metadata adds."""

from __future__ import annotations

import itertools
import logging
import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hw_export.nir.files import DAMAGE, read
from hw_export.nir.layout import Layout, at_node, layout_of
from hw_export.nir.neuron_nodes import NodeState, said_number, sample_shape
from hw_export.nir.program import NIRProgram
from hw_export.nir.writing import FORMAT, VERSION
from snnconv.data.batches import check_like
from snnconv.data.shapes import BATCH
from snnconv.errors import ConfigurationError, StorageError
from snnconv.surroundings import own_surroundings

if TYPE_CHECKING:
    import nir


_logger = logging.getLogger(__name__)

#: Numbers of the results of all nodes, where these are tried out for one sample.
_MOST_NUMBERS = 2**26


class NIRState(NamedTuple):
    """Potentials, last spikes and synaptic currents of the neurons that have them, ``[N, ...]``, by population."""

    potentials: dict[str, Tensor]
    spikes: dict[str, Tensor]
    currents: dict[str, Tensor]


class NIRModule(nn.Module):
    """A NIR graph that runs step by step; an analog input is presented at every step.

        module = hw_export.nir.load("network.nir")
        output, rasters = module.run(x, steps=32)  # the mean output, spikes [T, N, ...] by population
        current, state = module(x, None)           # or one step at a time, with explicit state

    ``steps`` is what the file says, or ``None``. Potentials are in the units of the graph, in those that this library
    wrote in units of the threshold.
    """

    def __init__(
        self,
        program: NIRProgram,
        nodes: dict[str, str],
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        steps: int | None,
    ) -> None:
        super().__init__()
        self.program, self.steps = program, steps
        self.input_shape, self.output_shape = input_shape, output_shape
        self._nodes = nodes  # nodes of the program by population

    @property
    def like(self) -> Tensor:
        """A tensor of the precision and on the device that inputs must have."""
        return next(itertools.chain(self.parameters(), self.buffers()), torch.zeros((), dtype=torch.float32))

    @own_surroundings()
    def forward(self, x: Tensor, state: NIRState | None = None) -> tuple[Tensor, NIRState]:
        """The output's current ``[N, ...]`` of one step, and the state behind it. Raises ``InputError``."""
        check_like((x,), [(BATCH, *self.input_shape)], [self.like.dtype], self.like.device, "input")
        states = {}
        if state is not None:
            for name, node in self._nodes.items():
                states[node] = NodeState(*(each.get(name) for each in state))
        current, found = self.program(x, states)
        parts: tuple[dict[str, Tensor], ...] = ({}, {}, {})
        for name, node in self._nodes.items():
            for part, value in zip(parts, found[node], strict=True):
                if value is not None:
                    part[name] = value
        return current.reshape(len(x), *self.output_shape), NIRState(*parts)

    @own_surroundings()
    def run(self, x: Tensor, steps: int | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean output ``[N, ...]`` over ``steps`` and the spikes ``[T, N, ...]`` of every population, by name."""
        chosen = self.steps if steps is None else steps
        if chosen is None or chosen < 1:
            raise ConfigurationError(f"the file does not say for how many steps to run; give steps, got {steps!r}")
        total: Tensor | None = None
        state: NIRState | None = None
        rasters: dict[str, list[Tensor]] = {}
        for _ in range(chosen):
            current, state = self(x, state)
            total = current if total is None else total + current
            for name, spikes in state.spikes.items():
                rasters.setdefault(name, []).append(spikes)
        assert total is not None
        return total / chosen, {name: torch.stack(each) for name, each in rasters.items()}


@own_surroundings()
def load(source: str | os.PathLike[str] | nir.NIRGraph, *, dt: float | None = None) -> NIRModule:
    """The module of a NIR file, or of a ``nir.NIRGraph``, whose arrays may be torch tensors.

    Reads all nodes of NIR but Delay, nested graphs, and cycles through exactly one node that fires, whose spikes then
    arrive one step late. Neurons take steps of Euler's method of ``dt`` seconds, which the graph's metadata may say
    instead, as ``dt``; without either a step is the unit of time, and neurons with time constants are refused. Neurons
    start at rest and reset to ``v_reset`` unless their metadata says otherwise (Pedersen et al., 2024, Nature
    Communications 15, 8122). Nodes describe one sample, without an axis of samples. The module has the
    precision of the weights.

    Raises ``StorageError`` for a file that is truncated or no NIR file, and for a node that cannot be run, naming it;
    ``ConfigurationError`` for a ``dt`` that is no positive number, or another one than the graph says.
    """
    if isinstance(source, (str, os.PathLike)):
        place, graph = os.fspath(source), read(source)
    else:
        place, graph = "the graph", source
    try:
        layout = layout_of(graph, place)
    except DAMAGE as error:
        raise StorageError(f"{place} is no NIR graph that can be read: {error}") from error
    said = graph.metadata if isinstance(graph.metadata, dict) else {}
    if said.get("format") == FORMAT and said.get("version") not in range(1, VERSION + 1):
        raise StorageError(f"{place} has metadata of version {said.get('version')}; this snnconv reads {VERSION}")
    steps = _number(said, "steps", place)
    step = _time_step(said, dt, place)
    _warn(layout, step)
    program = _program(layout, step)
    program.to(torch.float64 if _double(layout) else torch.float32).eval().requires_grad_(False)
    nodes: dict[str, str] = {}
    for name in program.stateful:
        called = str(layout.nodes[name].metadata.get("name", name))
        nodes[name if called in nodes or called in layout.nodes else called] = name
    end = layout.nodes[layout.output]
    with at_node(place, layout.output, end):
        output_shape = sample_shape(end, program.shapes[layout.output])
    if steps is not None and (steps < 1 or steps != int(steps)):
        raise StorageError(f"{place}: its metadata says steps {steps}; a whole number from 1 on can be run")
    shape = program.shapes[layout.input]
    module = NIRModule(program, nodes, shape, output_shape, None if steps is None else int(steps))
    try:
        if sum(math.prod(sizes) for sizes in program.shapes.values()) <= _MOST_NUMBERS:
            module(torch.zeros(1, *shape, dtype=module.like.dtype))  # what values alone show
        return module
    except DAMAGE as error:
        raise StorageError(f"{place} cannot be made a module: {error}") from error


def _warn(layout: Layout, dt: float | None) -> None:
    integrators = {name: node for name, node in layout.nodes.items() if type(node).__name__ in ("I", "IF")}
    names = [name for name, node in integrators.items() if np.all(node.r == 1)]
    if names and dt not in (None, 1.0):
        _logger.warning(
            "%s of %s has r = 1, so that a step of %g adds %g times its current, as NIR's equations say; norse and "
            "sinabs write such nodes where a step adds the current itself, which is r = 1 / dt",
            ", ".join(names),
            layout.place,
            dt,
            dt,
        )


def _program(layout: Layout, dt: float | None) -> NIRProgram:
    """The program; where sizes fit only if input and output count samples first, without that axis."""
    try:
        return NIRProgram(layout, dt)
    except StorageError as error:
        other = layout.of_one_sample()
        if other is None:
            raise
        try:
            return NIRProgram(other, dt)
        except StorageError as second:
            raise StorageError(f"{error}; and if input and output count samples first: {second}") from error


def _time_step(said: dict[str, Any], dt: float | None, place: str) -> float | None:
    """Seconds of a step: ``dt``, or what the metadata of the graph says, or neither."""
    found = _number(said, "dt", place)
    if found is None and said.get("format") == FORMAT:
        found = 1.0  # as in files of version 1
    if found is not None and not found > 0:
        raise StorageError(f"{place}: its metadata says dt {found:g}, which is no time step")
    if dt is not None and not (math.isfinite(dt) and dt > 0):
        raise ConfigurationError(f"dt must be a positive number of seconds, got {dt!r}")
    if dt is not None and found is not None and dt != found:
        raise ConfigurationError(f"{place} was written for dt {found:g}, and dt={dt:g} was asked for; leave dt out")
    return found if dt is None else dt


def _number(said: dict[str, Any], key: str, place: str) -> float | None:
    try:
        return said_number(said, key)
    except StorageError as error:
        raise StorageError(f"{place}: {error}") from error


def _double(layout: Layout) -> bool:
    """Whether weights are in double precision, or thresholds where there are no weights."""
    for keys in (("weight",), ("v_threshold", "threshold", "scale", "r")):
        types = [getattr(node, key).dtype for node in layout.nodes.values() for key in keys if hasattr(node, key)]
        if types:
            return any(each == "float64" for each in types)
    return False
