"""From a NIR graph or file to a torch module that runs it step by step, with what the metadata adds."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from coding.optional import imported
from hw_export.nir.files import DAMAGE, ordered, read
from hw_export.nir.modules import node_map, sample_shape
from hw_export.nir.writing import VERSION
from snnconv.data.batches import check_like
from snnconv.data.shapes import BATCH
from snnconv.errors import ConfigurationError, StorageError
from snnconv.surroundings import own_surroundings

if TYPE_CHECKING:
    import nir


#: Numbers of the largest result of a node, and of all results where they are tried out, for one sample.
_LARGEST_RESULT, _MOST_NUMBERS = 2**30, 2**26


class NIRState(NamedTuple):
    """Potentials and the last spikes of all IF nodes, ``[N, ...]``, by the population's name."""

    potentials: dict[str, Tensor]
    spikes: dict[str, Tensor]


class NIRModule(nn.Module):
    """A NIR graph that runs step by step; an analog input is presented at every step.

        module = hw_export.nir.load("network.nir")
        output, rasters = module.run(x, steps=32)  # the mean output, spikes [T, N, ...] by population
        current, state = module(x, None)           # or one step at a time, with explicit state

    ``steps`` is what the file says, or ``None``. Potentials are in units of the threshold.
    """

    def __init__(
        self,
        program: nn.Module,
        nodes: dict[str, str],
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        steps: int | None,
    ) -> None:
        super().__init__()
        self.program, self.steps = program, steps
        self.input_shape, self.output_shape = input_shape, output_shape
        self._children = [name for name, _ in program.named_children()]
        self._nodes = nodes  # children of the program by population

    @property
    def like(self) -> Tensor:
        """A tensor of the precision and on the device that inputs must have."""
        return next(itertools.chain(self.parameters(), self.buffers()), torch.zeros((), dtype=torch.float32))

    @own_surroundings()
    def forward(self, x: Tensor, state: NIRState | None = None) -> tuple[Tensor, NIRState]:
        """The output's current ``[N, ...]`` of one step, and the state behind it. Raises ``InputError``."""
        check_like((x,), [(BATCH, *self.input_shape)], [self.like.dtype], self.like.device, "input")
        # The program writes into the dictionary that it is given.
        states: dict[str, Any] = dict.fromkeys(self._children)
        if state is not None:
            states |= {child: (state.potentials[name], state.spikes[name]) for name, child in self._nodes.items()}
        current, states = self.program(x, states)
        found = {name: states[child] for name, child in self._nodes.items()}
        potentials, spikes = ({name: each[part] for name, each in found.items()} for part in (0, 1))
        return current.reshape(len(x), *self.output_shape), NIRState(potentials, spikes)

    @own_surroundings()
    def run(self, x: Tensor, steps: int | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean output ``[N, ...]`` over ``steps`` and the spikes ``[T, N, ...]`` of every population, by name."""
        chosen = self.steps if steps is None else steps
        if chosen is None or chosen < 1:
            raise ConfigurationError(f"the file does not say for how many steps to run; give steps, got {steps!r}")
        total: Tensor | None = None
        state: NIRState | None = None
        rasters: dict[str, list[Tensor]] = {name: [] for name in self._nodes}
        for _ in range(chosen):
            current, state = self(x, state)
            total = current if total is None else total + current
            for name, spikes in state.spikes.items():
                rasters[name].append(spikes)
        assert total is not None
        return total / chosen, {name: torch.stack(each) for name, each in rasters.items()}


@own_surroundings()
def load(source: str | os.PathLike[str] | nir.NIRGraph) -> NIRModule:
    """The module of a NIR file, or of a ``nir.NIRGraph``.

    Reads Affine, Linear, Conv2d, SumPool2d, AvgPool2d, Flatten, IF, and LIF nodes whose leak vanishes. IF nodes reset
    to ``v_reset`` and start from 0 unless their metadata says otherwise. Raises ``StorageError`` for a file that is
    truncated, no NIR file, or holds other nodes or cycles.
    """
    if isinstance(source, (str, os.PathLike)):
        place, graph = os.fspath(source), read(source)
    else:
        place, graph = "the graph", source
    order = ordered(graph, place)
    kinds = node_map()
    for name in order:
        if type(graph.nodes[name]) not in kinds:
            raise StorageError(f"{place}: {name} is a {type(graph.nodes[name]).__name__} node, which cannot be read")
    if graph.metadata.get("format") == "snnconv" and graph.metadata.get("version") != VERSION:
        raise StorageError(
            f"{place} has metadata of version {graph.metadata.get('version')}; this snnconv reads {VERSION}"
        )
    try:
        module = _module(graph, order, kinds)
        if _numbers(module) <= _MOST_NUMBERS:
            module(torch.zeros(1, *module.input_shape, dtype=module.like.dtype))  # what values alone show
        return module
    except DAMAGE as error:
        raise StorageError(f"{place} cannot be made a module: {error}") from error


def _numbers(module: NIRModule) -> int:
    """How many numbers a step of one sample makes, computed without values, which shows what does not fit together.

    Raises ``ValueError`` for a result that is too large.
    """
    shapes = [torch.Size(module.input_shape)]
    bare = copy.deepcopy(module.program).to("meta")
    for part in bare.modules():
        part.register_forward_hook(lambda _, inputs, output: shapes.extend(_shapes(output)))
    sample = torch.zeros(1, *module.input_shape, dtype=module.like.dtype, device="meta")
    bare(sample, dict.fromkeys(name for name, _ in bare.named_children()))
    numbers = [shape.numel() for shape in shapes]
    if max(numbers) > _LARGEST_RESULT:
        large = [*shapes[numbers.index(max(numbers))]]
        raise ValueError(f"it makes a result of the shape {large}, more than {_LARGEST_RESULT} numbers")
    return sum(numbers)


def _shapes(output: Any) -> list[torch.Size]:
    return [leaf.shape for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]


def _module(graph: Any, order: list[str], kinds: Mapping[type, Callable[[Any], nn.Module]]) -> NIRModule:
    nir, nirtorch = imported("nir", "snnconv[nir]"), imported("nirtorch", "snnconv[nir]")
    # Names of ours: those of a file may clash once they are made attributes.
    names = {name: f"node_{position}" for position, name in enumerate(order)}
    edges = [(names[before], names[after]) for before, after in graph.edges]
    renamed = nir.NIRGraph({names[name]: graph.nodes[name] for name in order}, edges, type_check=False)
    arrays = [getattr(node, key, None) for node in graph.nodes.values() for key in ("weight", "v_threshold")]
    double = any(array is not None and array.dtype == np.float64 for array in arrays)
    program = nirtorch.nir_to_torch(renamed, kinds, dtype=torch.float64 if double else torch.float32)
    program.eval().requires_grad_(False)
    nodes: dict[str, str] = {}
    for name in order:
        if isinstance(graph.nodes[name], (nir.IF, nir.LIF)):
            said = str(graph.nodes[name].metadata.get("name", name))
            nodes[name if said in nodes else said] = names[name]
    (start,) = (node for node in graph.nodes.values() if isinstance(node, nir.Input))
    (end,) = (node for node in graph.nodes.values() if isinstance(node, nir.Output))
    input_shape = tuple(int(size) for size in start.input_type["input"])
    output_shape = sample_shape(end, end.output_type["output"])
    steps = graph.metadata.get("steps")
    return NIRModule(program, nodes, input_shape, output_shape, None if steps is None else int(steps))
