"""Operators that move signals without changing them: views, transposes, slices, concatenation, padding, upsampling."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from snnconv.graph import Node
from snnconv.operators.operator import Arguments, Carries, Classification, Operator, Role, Spread, register


class _Selection(Operator):
    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.SELECTION)

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_ONE


@register
class View(_Selection):
    """A new shape for the same elements."""

    names = ("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze")

    def evaluate(self, arguments: Arguments) -> Tensor:
        values = arguments.get("self", arguments.get("input"))
        if self.op in ("view", "reshape", "_unsafe_view"):
            return torch.reshape(values, arguments.get("size", arguments.get("shape")))
        if self.op == "flatten":
            return torch.flatten(values, arguments["start_dim"], arguments["end_dim"])
        if self.op == "unflatten":
            return torch.unflatten(values, arguments["dim"], arguments["sizes"])
        if self.op == "squeeze":
            return torch.squeeze(values, arguments["dim"]) if "dim" in arguments else torch.squeeze(values)
        return torch.unsqueeze(values, arguments["dim"])

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        if axis is None or node.shape is None:
            return None
        before, length = math.prod(shape[:axis]), shape[axis]
        for new, size in enumerate(node.shape):
            if size == length and math.prod(node.shape[:new]) == before:
                return new
        return None


@register
class Permute(_Selection):
    """A new order of the axes."""

    names = ("permute", "transpose", "t", "swapaxes", "movedim")

    def evaluate(self, arguments: Arguments) -> Tensor:
        values = arguments["self"]
        return torch.permute(values, self._order(arguments, values.dim()))

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return None if axis is None else self._order(node.arguments, len(shape)).index(axis)

    def _order(self, arguments: Arguments, dims: int) -> list[int]:
        order = list(range(dims))
        if self.op == "permute":
            return [dim % dims for dim in arguments["dims"]]
        if self.op == "t":
            return order[::-1]
        if self.op == "movedim":
            return list(torch.movedim(torch.empty(order), arguments["source"], arguments["destination"]).shape)
        first, second = (value for key, value in arguments.items() if key != "self")
        order[first], order[second] = order[second], order[first]
        return order


@register
class Slice(_Selection):
    """A range of positions along one axis."""

    names = ("slice",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        values = arguments["self"]
        index = [slice(None)] * values.dim()
        index[arguments["dim"]] = slice(arguments["start"], arguments["end"], arguments["step"])
        return values[tuple(index)]  # type: ignore[no-any-return]


@register
class Select(_Selection):
    """One position along one axis, which disappears."""

    names = ("select",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.select(arguments["self"], arguments["dim"], arguments["index"])

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        dim = node.arguments["dim"] % len(shape)
        return None if axis is None or axis == dim else axis - (dim < axis)


@register
class Split(_Selection):
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

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        if self.op != "unbind" or axis is None:
            return axis
        dim = node.arguments["dim"] % len(shape)
        return None if axis == dim else axis - (dim < axis)


@register
class Item(_Selection):
    """One entry of a list of tensors."""

    names = ("getitem",)

    def evaluate(self, arguments: Arguments) -> Any:
        return arguments["self"][arguments["index"]]


@register
class Concatenation(_Selection):
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

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        if self.op == "cat" or axis is None:
            return axis
        return axis + int(node.arguments["dim"] % (len(shape) + 1) <= axis)


@register
class Pad(_Selection):
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


@register
class Reorder(_Selection):
    """Elements in another order or repeated, without arithmetic."""

    names = ("flip", "roll", "expand", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle")

    def evaluate(self, arguments: Arguments) -> Tensor:
        values = arguments["self"]
        if self.op == "flip":
            return torch.flip(values, arguments["dims"])
        if self.op == "roll":
            return torch.roll(values, arguments["shifts"], arguments["dims"])
        if self.op == "expand":
            return torch.broadcast_to(values, self._expanded(values.shape, arguments["size"]))
        if self.op == "pixel_shuffle":
            return torch.pixel_shuffle(values, arguments["upscale_factor"])
        if self.op == "pixel_unshuffle":
            return torch.pixel_unshuffle(values, arguments["downscale_factor"])
        return torch.channel_shuffle(values, arguments["groups"])

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_MANY if self.op == "expand" else Spread.ONE_TO_ONE

    @staticmethod
    def _expanded(shape: torch.Size, size: list[int]) -> list[int]:
        aligned = [1] * (len(size) - len(shape)) + list(shape)
        return [old if new == -1 else new for old, new in zip(aligned, size, strict=True)]

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        if axis is None or node.shape is None:
            return None
        if self.op == "expand":
            return axis + len(node.shape) - len(shape)
        return axis if node.shape[axis] == shape[axis] else None


@register
class UpsampleNearest(_Selection):
    """Nearest-neighbour upsampling: every element repeated."""

    names = ("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")

    def evaluate(self, arguments: Arguments) -> Tensor:
        values = arguments.get("input", arguments.get("self"))
        size = arguments.get("output_size")
        factors = arguments.get("scale_factors")
        return torch.nn.functional.interpolate(
            values, size=None if size is None else tuple(size), scale_factor=factors, mode="nearest"
        )

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_MANY
