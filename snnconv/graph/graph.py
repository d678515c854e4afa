"""The data model of a captured network: operators by name, with named arguments, in order of execution."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor

from snnconv.data.shapes import Shape
from snnconv.graph.output_types import OutputMapping, OutputTuple


@dataclass(frozen=True)
class Ref:
    """The result of another node, used as an argument."""

    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"


@dataclass(frozen=True)
class Source:
    """Where the user wrote an operation: a line of a file, its text, and the path and type of the module it ran in."""

    file: str = ""
    line: int = 0
    text: str = ""
    module: str = ""
    module_type: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file else ""
        module = f"module {self.module}" if self.module else ""
        return ", ".join(part for part in (place, module) if part) or "unknown place"


#: Operators that read only the shape, type and device of their tensor argument, never its values.
SHAPE_ONLY = frozenset({"sym_size", "zeros", "ones", "full", "arange", "eye"})

#: Types of whole numbers and masks by name.
WHOLE_TYPES = {
    str(dtype): dtype for dtype in (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
}

#: An argument: a number, text, None, a Ref, or a list of arguments.
Argument = Any


@dataclass(frozen=True)
class Node:
    """One operation: ``op`` is the name of a registered operator, ``arguments`` are keyed by its schema's names.

    ``shape`` is the result's shape in the example (batch of 2 where the batch is dynamic), ``None`` for what is no
    tensor.
    """

    name: str
    op: str
    arguments: Mapping[str, Argument]
    shape: tuple[int, ...] | None = None
    source: Source = field(default_factory=Source)

    def refs(self) -> Iterator[str]:
        """Names of the nodes whose results this node uses, in order, with repetition."""
        for argument in self.arguments.values():
            yield from refs_in(argument)

    def mapped(self, rename: Callable[[Ref], Argument]) -> Node:
        """A copy with every reference replaced."""
        return replace(self, arguments={key: map_refs(value, rename) for key, value in self.arguments.items()})


_Derived = TypeVar("_Derived")


@dataclass(frozen=True, eq=False)
class Graph:
    """A network as straight-line code. It never changes: whatever rewrites it makes another.

    ``inputs`` are the shapes of the signal inputs by name, with names for the axes that may have any size (``BATCH``
    for that of the samples; axes of one name have one size), ``constants`` the parameters and buffers by name,
    ``nodes`` the operations in order of execution, ``output`` a plain nest of tuples, lists and dicts with ``Ref``
    leaves, ``output_type`` the same nest in the user's own classes, if there are any (see ``output_types``).
    ``batch_axis`` is 0, or ``None`` for a network that takes one sample per call. ``parameters`` are the names of the
    constants that a training of the original would change. ``whole`` are the types of inputs that are whole numbers
    or masks, by name of the input. A network that takes such numbers has a ``front``: a graph that makes of what the
    user gives what this one takes, which is its output, a list in their order. ``masks`` are the shapes of what comes
    with every sample beside the inputs and is no signal but structure: True for pairs of a softmax that it forbids.
    """

    inputs: Mapping[str, Shape]
    constants: Mapping[str, Tensor]
    nodes: Mapping[str, Node]
    output: Argument
    batch_axis: int | None = 0
    parameters: frozenset[str] = frozenset()
    output_type: Any = None
    whole: Mapping[str, str] = field(default_factory=dict)
    front: Graph | None = None
    masks: Mapping[str, Shape] = field(default_factory=dict)
    _derived: dict[Callable[[Graph], Any], Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("inputs", "constants", "nodes", "whole", "masks"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[Any, ...]:  # views of dicts can be neither copied nor pickled
        contents = (dict(mapping) for mapping in (self.inputs, self.constants, self.nodes))
        rest = (self.output_type, dict(self.whole), self.front, dict(self.masks))
        return Graph, (*contents, self.output, self.batch_axis, self.parameters, *rest)

    @property
    def taken(self) -> dict[str, Shape]:
        """The shapes of all that comes with a sample, in order: inputs, then masks."""
        return {**self.inputs, **self.masks}

    def derived(self, make: Callable[[Graph], _Derived]) -> _Derived:
        """What ``make`` finds out about this graph: made at the first call and kept with the graph."""
        if make not in self._derived:
            self._derived[make] = make(self)
        found: _Derived = self._derived[make]
        return found

    def consumers(self) -> dict[str, list[str]]:
        """For every node, input and constant, the nodes that use its result (``"output"`` stands for the output)."""
        users: dict[str, list[str]] = {name: [] for name in (*self.taken, *self.constants, *self.nodes)}
        for node in self.nodes.values():
            for name in dict.fromkeys(node.refs()):
                users[name].append(node.name)
        for name in dict.fromkeys(refs_in(self.output)):
            users[name].append("output")
        return users

    def signals(self) -> set[str]:
        """Names of everything that depends on the value of an input, not only on its shape."""
        found = set(self.inputs)
        for node in self.nodes.values():
            if node.op not in SHAPE_ONLY and any(name in found for name in node.refs()):
                found.add(node.name)
        return found

    def behind(self, names: Iterable[str]) -> set[str]:
        """``names`` and all nodes that use one of them, or the result of one that does."""
        found = set(names)
        for node in self.nodes.values():
            if any(name in found for name in node.refs()):
                found.add(node.name)
        return found

    def without_dead_nodes(self) -> Graph:
        """A copy without the nodes and constants on which the output does not depend."""
        needed = set(refs_in(self.output))
        kept: list[Node] = []
        for node in reversed([*self.nodes.values()]):
            if node.name in needed:
                kept.append(node)
                needed.update(node.refs())
        return replace(
            self,
            nodes={node.name: node for node in reversed(kept)},
            constants={name: tensor for name, tensor in self.constants.items() if name in needed},
            parameters=self.parameters & needed,
        )


def refs_in(argument: Argument) -> Iterator[str]:
    """Names referred to anywhere inside an argument."""
    if isinstance(argument, Ref):
        yield argument.name
    elif isinstance(argument, (tuple, list)):
        for item in argument:
            yield from refs_in(item)
    elif isinstance(argument, Mapping):
        for item in argument.values():
            yield from refs_in(item)


def map_refs(argument: Argument, function: Callable[[Ref], Argument]) -> Argument:
    """The same nest of tuples, lists and dicts with ``function`` applied to every reference."""
    if isinstance(argument, Ref):
        return function(argument)
    if isinstance(argument, OutputTuple):
        return OutputTuple([map_refs(item, function) for item in argument], argument.names)
    if isinstance(argument, (tuple, list)):
        return type(argument)(map_refs(item, function) for item in argument)
    if isinstance(argument, Mapping):
        items = {key: map_refs(item, function) for key, item in argument.items()}
        return OutputMapping(items) if isinstance(argument, OutputMapping) else items
    return argument


def largest_map(graph: Graph) -> int:
    """The elements of one sample in the largest result whose shape is known, at least 1."""
    return max((math.prod(node.shape) // 2 for node in graph.nodes.values() if node.shape), default=1) or 1
