"""Operators that take pieces of signals or put them together: slices, splits, concatenation, padding."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Role, SelectionOperator, Spread, register
from snnconv.graph.reach import Reach, unit_vectors


@register
class Slice(SelectionOperator):
    """A range of positions along one axis."""

    names = ("slice", "narrow")

    def evaluate(self, arguments: Arguments) -> Tensor:
        values = arguments["self"]
        if self.op == "narrow":
            return torch.narrow(*arguments.values())
        index = [slice(None)] * values.dim()
        index[arguments["dim"]] = slice(arguments["start"], arguments["end"], arguments["step"])
        return values[tuple(index)]  # type: ignore[no-any-return]

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        each_alone = unit_vectors(found.shape[arguments["dim"]])
        return found.along(arguments["dim"], self.evaluate({**arguments, "self": each_alone, "dim": 1}))


@register
class Select(SelectionOperator):
    """One position along one axis, which disappears."""

    names = ("select",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.select(arguments["self"], arguments["dim"], arguments["index"])

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        dim = arguments["dim"] % len(found.shape)
        chosen = unit_vectors(found.shape[dim])[:, arguments["index"]].unsqueeze(1)
        return found.along(dim, chosen).view((*found.shape[:dim], *found.shape[dim + 1 :]))

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        dim = node.arguments["dim"] % len(shape)
        return None if axis is None or axis == dim else axis - (dim < axis)


@register
class Split(SelectionOperator):
    """A tensor cut into a list of pieces along one axis."""

    names = ("split", "split_with_sizes", "chunk", "unbind", "tensor_split")

    def evaluate(self, arguments: Arguments) -> Any:
        values, dim = arguments["self"], arguments["dim"]
        if self.op == "unbind":
            return torch.unbind(values, dim)
        if self.op == "chunk":
            return torch.chunk(values, arguments["chunks"], dim)
        if self.op == "tensor_split":
            return torch.tensor_split(values, arguments.get("sections", arguments.get("indices")), dim)
        sizes = arguments.get("split_sizes", arguments.get("split_size"))
        return torch.split(values, sizes, dim)

    def reach(self, arguments: Arguments) -> list[Reach]:
        found: Reach = arguments["self"]
        dim = arguments["dim"] % len(found.shape)
        pieces = self.evaluate({**arguments, "self": unit_vectors(found.shape[dim]), "dim": 1})
        if self.op == "unbind":
            shape = (*found.shape[:dim], *found.shape[dim + 1 :])
            return [found.along(dim, piece.unsqueeze(1)).view(shape) for piece in pieces]
        return [found.along(dim, piece) for piece in pieces]

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        if self.op != "unbind" or axis is None:
            return axis
        dim = node.arguments["dim"] % len(shape)
        return None if axis == dim else axis - (dim < axis)


@register
class Item(SelectionOperator):
    """One entry of a list of tensors."""

    names = ("getitem",)

    def evaluate(self, arguments: Arguments) -> Any:
        return arguments["self"][arguments["index"]]

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"][arguments["index"]]
        return found


@register
class Concatenation(SelectionOperator):
    """Tensors side by side along an axis (``cat``) or a new axis (``stack``); some of them may be constants."""

    names = ("cat", "stack")

    def evaluate(self, arguments: Arguments) -> Tensor:
        join = torch.stack if self.op == "stack" else torch.cat
        return join(list(arguments["tensors"]), dim=arguments["dim"])

    def homogeneous(self, arguments: Arguments, carries: Carries) -> Arguments:
        flags = carries["tensors"]
        assert isinstance(flags, list)
        tensors = [
            tensor if signal else torch.zeros_like(tensor)
            for tensor, signal in zip(arguments["tensors"], flags, strict=True)
        ]
        return {**arguments, "tensors": tensors}

    def reach(self, arguments: Arguments) -> Reach:
        tensors = arguments["tensors"]
        axes = len(tensors[0].shape) + int(self.op == "stack")
        dim = arguments["dim"] % axes
        lengths = [1 if self.op == "stack" else tensor.shape[dim] for tensor in tensors]
        places = torch.split(unit_vectors(sum(lengths)), lengths)
        signals = [(tensor, place) for tensor, place in zip(tensors, places, strict=True) if isinstance(tensor, Reach)]
        if self.op == "stack":
            signals = [(tensor.view((*tensor.shape[:dim], 1, *tensor.shape[dim:])), place) for tensor, place in signals]
        return functools.reduce(Reach.union, (tensor.along(dim, place) for tensor, place in signals))

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        if self.op == "cat" or axis is None:
            return axis
        return axis + int(node.arguments["dim"] % (len(shape) + 1) <= axis)


@register
class Pad(SelectionOperator):
    """Padding of the last axes with a constant, or with copies of the border."""

    names = ("pad", "constant_pad_nd")

    def classify(self, node: Node, carries: Carries) -> Classification:
        if math.isinf(node.arguments.get("value") or 0.0):
            return Classification(
                Role.REFUSED, "it pads with infinity", "pad inside the pooling operator, or with a finite number"
            )
        return super().classify(node, carries)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.nn.functional.pad(
            arguments["self"], arguments["pad"], arguments.get("mode", "constant"), arguments["value"]
        )

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_ONE if node.arguments.get("mode", "constant") == "constant" else Spread.ONE_TO_MANY

    def homogeneous(self, arguments: Arguments, carries: Carries) -> Arguments:
        return {**arguments, "value": None if arguments.get("mode", "constant") != "constant" else 0.0}

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        without_value = self.homogeneous(arguments, {})
        for place in range(0, len(arguments["pad"]), 2):
            axis = -1 - place // 2  # pairs of lengths, those of the last axis first
            each_alone = unit_vectors(found.shape[axis]).unsqueeze(0)
            one_pair = {**without_value, "self": each_alone, "pad": arguments["pad"][place : place + 2]}
            found = found.along(axis, self.evaluate(one_pair)[0])
        return found
