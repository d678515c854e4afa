"""What nodes for some positions of a sequence read: signals at ALL positions, and constants at those of a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError
from snnconv.graph.analysis import analysis_of
from snnconv.graph.causality import Masks
from snnconv.graph.graph import Argument, Graph, Node, Ref
from snnconv.graph.positions import ALL, BATCH, NEW, OTHER, Axes, is_joined, kinds

#: Whole numbers that a step gives: its first position, where it ends, how many it has, and the number of samples.
FIRST, END, COUNT, SAMPLES = (f"positions.{name}" for name in ("first", "end", "count", "samples"))


class Stored(NamedTuple):
    """Results of ``source`` at earlier positions, which lie on ``axis``."""

    source: str
    axis: int


def step_numbers(first: int, count: int, samples: int) -> dict[str, Tensor]:
    """What a step of ``count`` positions from ``first`` on gives to a stepwise graph, by name."""
    given = {FIRST: first, END: first + count, COUNT: count, SAMPLES: samples}
    return {name: torch.tensor(number) for name, number in given.items()}


class StepNodes(ABC):
    """Nodes for some positions at a time, made in order; ``swapped`` products take their first operand at ALL."""

    def __init__(self, graph: Graph, length: int, swapped: frozenset[str]) -> None:
        self.graph, self.length, self.swapped = graph, length, swapped
        self.signals = graph.signals()
        self.stations = analysis_of(graph).stations
        self.nodes: dict[str, Node] = {}
        self.axes: dict[str, Axes] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.stored: dict[str, Stored] = {}
        #: Pairs of positions: the product that paired them.
        self.paired_by: dict[str, str] = {}
        self.masks = Masks(graph, self.signals, length)

    @abstractmethod
    def place(self, node: Node) -> None:
        """Add ``node``, whose operands are placed."""

    def operands(self, node: Node) -> list[str]:
        """Names of the signals that ``node`` takes."""
        return [name for name in dict.fromkeys(node.refs()) if name in self.axes]

    def whole(self, name: str, user: Node) -> str:
        """Name of what ``name`` is at ALL positions, where ``user`` reads it."""
        axes, whole = self.axes[name], f"{name}.whole"
        if whole in self.nodes or NEW not in kinds(axes):
            return whole if whole in self.nodes else name
        if ALL in axes:
            refuse(user, "reads at later positions what pairs of positions are")
        if self.graph.whole:  # this is the front
            refuse(user, "pairs positions in front of all spikes, of which a decoder stores nothing")
        if name in self.graph.inputs or (name in self.stations and name not in analysis_of(self.graph).products):
            axis, earlier = axes.index(NEW), f"{name}.earlier"
            self.stored[earlier] = Stored(name, axis)
            source = self.graph.nodes[name].source if name in self.graph.nodes else user.source
            arguments = {"tensors": [Ref(earlier), Ref(name)], "dim": axis}
            self.nodes[whole] = Node(whole, "cat", arguments, self.shapes[name], source)
            self.axes[earlier] = self.axes[whole] = (*axes[:axis], ALL, *axes[axis + 1 :])
            self.shapes[whole] = self.shapes[name]
            return whole
        if name not in self.graph.nodes or name in self.stations:
            refuse(user, "reads at later positions what is no spikes")
        node = self.graph.nodes[name]
        operands = {each: self.whole(each, user) for each in self.operands(node)}
        self.place(replace(node.mapped(lambda ref: Ref(operands.get(ref.name, ref.name))), name=whole))
        return whole

    def with_whole(self, node: Node, name: str) -> Node:
        """``node``, taking ``name`` at ALL positions."""
        whole = self.whole(name, node)
        if whole == name:
            refuse(node, "pairs positions in a way that is not understood")
        return node.mapped(lambda ref: Ref(whole) if ref.name == name else ref)

    def cut(self, node: Node, axes: Axes, keys: Sequence[str]) -> Node:
        """``node`` with its constants, aligned with ``axes`` from the end, at the positions of a step."""

        def cut(argument: Argument) -> Argument:
            if isinstance(argument, (list, tuple)):
                return type(argument)(cut(each) for each in argument)
            if not isinstance(argument, Ref) or argument.name in self.axes:
                return argument
            return self._constant_at(node, argument, axes)

        return replace(
            node, arguments={key: cut(value) if key in keys else value for key, value in node.arguments.items()}
        )

    def _constant_at(self, node: Node, constant: Ref, axes: Axes) -> Ref:
        value = self.masks.fixed[constant.name]
        if not isinstance(value, Tensor):
            return constant
        name, first = constant.name, len(axes) - value.dim()
        for place, size in enumerate(value.shape):
            axis = axes[first + place]
            if size == 1 or axis in (OTHER, BATCH):
                continue
            if is_joined(axis) or size != self.length:
                refuse(node, "has a constant of another number of positions than the input")
            made = f"{name}.{axis}{place}"
            start = Ref(FIRST) if axis == NEW else 0
            arguments = {"self": Ref(name), "dim": place, "start": start, "end": Ref(END), "step": 1}
            self.nodes.setdefault(made, Node(made, "slice", arguments, tuple(value.shape), node.source))
            name = made
        return Ref(name)

    def aligned(self, node: Node, dims: int) -> tuple[Node, Axes]:
        """``node`` with signals at ALL positions where another is, and the axes of what they have in common."""
        found: list[str] = [OTHER] * dims
        for name in self.operands(node):
            first = dims - len(self.axes[name])
            for place, (axis, size) in enumerate(zip(self.axes[name], self.shapes[name], strict=True), first):
                have = found[place]
                if axis == OTHER or have in (OTHER, axis):
                    found[place] = have if axis == OTHER else axis
                elif {axis, have} == {NEW, ALL}:
                    at_new = (each for each in self.operands(node) if self._axis(each, place - dims) == NEW)
                    return self.aligned(self.with_whole(node, next(at_new)), dims)
                else:
                    refuse(node, f"joins {size} of one axis with another axis")
        if found.count(NEW) > 1:
            apart = [name for name in self.operands(node) if self.axes[name].count(NEW) == 1]
            self.paired_by[node.name] = node.name
            return self.aligned(self.with_whole(node, apart[0 if node.name in self.swapped else -1]), dims)
        for name in self.operands(node):
            for place, size in enumerate(self.shapes[name], dims - len(self.shapes[name])):
                if found[place] != OTHER and size > 1 and self._axis(name, place - dims) == OTHER:
                    refuse(node, "joins positions with another axis")
        return node, tuple(found)

    def _axis(self, name: str, place: int) -> str:
        """The axis of ``name`` at this place from the end."""
        axes = self.axes[name]
        return axes[place] if -place <= len(axes) else OTHER


def refuse(node: Node, why: str) -> NoReturn:
    """Raise ``ConfigurationError``: ``node`` does not go position by position, and ``why``."""
    raise ConfigurationError(
        f"{node.op} ({node.source}) {why}: a decoder takes causal networks, position by position; run whole sequences"
    )
