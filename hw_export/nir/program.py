"""A torch module that runs the nodes of a NIR graph one after another, and the check that their sizes fit together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from coding.optional import imported
from hw_export.nir.layout import Layout, at_node
from hw_export.nir.modules import FlattenNode, node_map
from hw_export.nir.neuron_nodes import NeuronNode, NodeState, ThresholdNode
from snnconv.errors import StorageError

Sizes = tuple[int, ...]

#: Numbers of the largest result of a node, for one sample.
_LARGEST_RESULT = 2**30
_STATEFUL = (NeuronNode, ThresholdNode)


@dataclass(frozen=True)
class _Call:
    """A node's module, where its inputs come from, and the shape of what comes a step late."""

    key: str
    sources: tuple[str, ...]
    late: tuple[tuple[str, Sizes], ...]


class NIRProgram(nn.Module):
    """Modules of nodes in order; what several edges bring to a node is added up in the order of the edges.

    ``program(x, states)`` gives the output ``[N, ...]`` of one step, and the state of every neuron behind it, by name.
    """

    def __init__(self, layout: Layout, dt: float | None) -> None:
        super().__init__()
        kinds, sources = node_map(dt), layout.sources()
        #: The shape of one sample of what a node gives, by name.
        self.shapes: dict[str, Sizes] = {}
        self.parts = nn.ModuleDict()
        self._calls: dict[str, _Call] = {}
        self._output = layout.output
        for position, (name, node) in enumerate(layout.nodes.items()):
            with at_node(layout.place, name, node):
                if type(node) not in kinds:
                    raise StorageError(f"a {type(node).__name__} has no meaning here; known are {_known(kinds)}")
                if name == layout.input:
                    self.shapes[name] = _whole(node.input_type["input"], "its shape")
                    continue
                late = tuple((each, fed_back(layout, each)) for each in sources[name] if (each, name) in layout.late)
                now = tuple(each for each in sources[name] if (each, name) not in layout.late)
                came = [(each, self.shapes[each]) for each in now] + list(late)
                if any(shape != came[0][1] for _, shape in came):
                    raise StorageError(f"it gets values of different shapes: {_said(came, layout)}")
                shape = came[0][1]
                module = _flatten(node, shape) if type(node).__name__ == "Flatten" else kinds[type(node)](node)
                _check(node, module, shape, f"it gets {_said(came, layout)}")
                key = f"node_{position}"
                self.shapes[name] = _result(module, shape, f"it gets {_said(came, layout)}")
                self.parts[key] = module
                self._calls[name] = _Call(key, now, late)
        #: What no later node needs, by the last that does.
        last = {source: name for name, call in self._calls.items() for source in call.sources}
        self._done: dict[str, list[str]] = {name: [] for name in self._calls}
        for source, name in last.items():
            self._done[name].append(source)

    @property
    def stateful(self) -> list[str]:
        """Names of the nodes that keep a state."""
        return [name for name, call in self._calls.items() if isinstance(self.parts[call.key], _STATEFUL)]

    def part(self, name: str) -> nn.Module:
        """The module of a node."""
        return self.parts[self._calls[name].key]

    def forward(self, x: Tensor, states: dict[str, NodeState]) -> tuple[Tensor, dict[str, NodeState]]:
        sent: dict[str, Tensor] = {}
        found: dict[str, NodeState] = {}
        for name, call in self._calls.items():
            currents = [sent.get(source, x) for source in call.sources]
            for source, shape in call.late:
                before = states[source].spikes if source in states else None
                currents.append(x.new_zeros(len(x), *shape) if before is None else before.reshape(len(x), *shape))
            current = currents[0]
            for more in currents[1:]:
                current = current + more
            module = self.parts[call.key]
            if isinstance(module, _STATEFUL):
                sent[name], found[name] = module(current, states.get(name))
            else:
                sent[name] = module(current)
            for source in self._done[name]:
                sent.pop(source, None)
        return sent[self._output], found


def fed_back(layout: Layout, name: str) -> Sizes:
    """The shape of the spikes of a neuron in a cycle, which only its own parameters tell."""
    node = layout.nodes[name]
    sizes: Sizes = tuple((node.threshold if type(node).__name__ == "Threshold" else node.v_threshold).shape)
    if not sizes:
        raise StorageError(f"{name} feeds it a step late, and its parameters do not say how many neurons it has")
    return sizes


def _known(kinds: dict[type, Any]) -> str:
    return ", ".join(sorted(kind.__name__ for kind in kinds))


def _said(came: list[tuple[str, Sizes]], layout: Layout) -> str:
    return ", ".join(f"{[*shape]} from {name} ({type(layout.nodes[name]).__name__})" for name, shape in came)


def _whole(value: Any, what: str) -> Sizes:
    if value is None:
        raise StorageError(f"{what} is not known")
    sizes = tuple(int(size) for size in np.atleast_1d(np.asarray(value)))
    if any(size < 1 for size in sizes):
        raise StorageError(f"{what} is {[*sizes]}")
    return sizes


def _flatten(node: Any, shape: Sizes) -> FlattenNode:
    """NIR counts the axes of one sample; an input said to have one axis more counts that of samples too."""
    first, last = int(node.start_dim), int(node.end_dim)
    declared = None if node.input_type is None else node.input_type.get("input")
    sizes = shape if declared is None else tuple(int(size) for size in np.atleast_1d(np.asarray(declared)))
    axes = len(sizes)
    if not (-axes <= first < axes and -axes <= last < axes and first % axes <= last % axes):
        raise StorageError(f"it flattens axes {first} to {last} of {axes}")
    if sizes == shape:
        return FlattenNode(first % axes, last % axes)
    if sizes[1:] != shape:
        raise StorageError(f"it is made for {[*sizes]}, and gets {[*shape]}")
    if first % axes == 0 and last % axes > 0:
        raise StorageError(f"it is made for {[*sizes]}, which counts samples, and joins them; it gets {[*shape]}")
    return FlattenNode(first % axes - 1, last % axes - 1)


def _check(node: Any, module: nn.Module, shape: Sizes, said: str) -> None:
    """Raise ``StorageError`` where the node says sizes, and gets others."""
    kinds = imported("nir", "snnconv[nir]")
    wanted: Any = getattr(module, "shape", None)
    if isinstance(node, (kinds.Affine, kinds.Linear)):
        wanted = (node.weight.shape[1],)
    elif isinstance(node, (kinds.Conv1d, kinds.Conv2d)):
        axes = node.weight.ndim - 2
        inner = shape[1:] if node.input_shape is None else _whole(node.input_shape, "its input shape")
        wanted = (node.weight.shape[1] * int(node.groups), *inner)
        if len(inner) != axes:
            raise StorageError(f"it is made for {axes} axes and channels, and {said}")
    elif isinstance(node, (kinds.SumPool2d, kinds.AvgPool2d)) and len(shape) != 3:
        raise StorageError(f"it is made for [channels, height, width], and {said}")
    elif isinstance(node, kinds.Output) and node.output_type.get("output") is not None:
        wanted = _whole(node.output_type["output"], "its shape")
        if _without_ones(wanted) == _without_ones(shape):  # of a single sample, or of time
            wanted = shape
    if wanted is not None and tuple(wanted) != shape:
        hint = ""
        if math.prod(wanted) == math.prod(shape):
            hint = "; NIR counts the axes of one sample, so that Flatten(start_dim=0) makes one axis of all"
        raise StorageError(f"it is made for {[*wanted]}, and {said}{hint}")


def _without_ones(shape: Sizes) -> Sizes:
    """The shape without axes of size 1 in front."""
    first = next((axis for axis, size in enumerate(shape) if size != 1), len(shape))
    return shape[first:]


def _result(module: nn.Module, shape: Sizes, said: str) -> Sizes:
    """The shape of what ``module`` makes of one sample, found without values."""
    numbers = dict(module.named_parameters()) | dict(module.named_buffers())
    bare = {name: torch.empty(each.shape, device="meta") for name, each in numbers.items()}
    try:
        found = torch.func.functional_call(module, bare, (torch.zeros(1, *shape, device="meta"),))
    except RuntimeError as error:
        raise StorageError(f"{said}, which does not fit: {error}") from error
    result = found[0] if isinstance(found, tuple) else found
    if math.prod(result.shape) > _LARGEST_RESULT:
        raise StorageError(f"it makes a result of the shape {[*result.shape]}, more than {_LARGEST_RESULT} numbers")
    return tuple(result.shape[1:])
