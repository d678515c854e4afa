"""Operators that give whole signals another form: views, other orders of axes and elements, upsampling."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, SelectionOperator, Spread, per_axis, register
from snnconv.graph.reach import NotAProductError, Reach, unit_vectors


@register
class View(SelectionOperator):
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

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments.get("self", arguments.get("input"))
        return found.view(
            self.evaluate({**arguments, "self": torch.empty(found.shape, dtype=torch.float32, device="meta")}).shape
        )

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        if axis is None or node.shape is None:
            return None
        before, length = math.prod(shape[:axis]), shape[axis]
        for new, size in enumerate(node.shape):
            if size == length and math.prod(node.shape[:new]) == before:
                return new
        return None


@register
class Permute(SelectionOperator):
    """A new order of the axes."""

    names = ("permute", "transpose", "t", "swapaxes", "movedim")

    def evaluate(self, arguments: Arguments) -> Tensor:
        values = arguments["self"]
        return torch.permute(values, self._order(arguments, values.dim()))

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        return found.permute(self._order(arguments, len(found.shape)))

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return None if axis is None else self._order(node.arguments, len(shape)).index(axis)

    def _order(self, arguments: Arguments, dims: int) -> list[int]:
        order = list(range(dims))
        if self.op == "permute":
            return [dim % dims for dim in arguments["dims"]]
        if self.op == "t":
            return order[::-1]
        if self.op == "movedim":
            return list(
                torch.movedim(torch.empty(order, device="meta"), arguments["source"], arguments["destination"]).shape
            )
        first, second = (value for key, value in arguments.items() if key != "self")
        order[first], order[second] = order[second], order[first]
        return order


@register
class Reorder(SelectionOperator):
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

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        shape = list(found.shape)
        if self.op == "expand":
            return found.broadcast_to(self._expanded(found.shape, arguments["size"]))
        if self.op in ("flip", "roll"):
            if not arguments["dims"]:
                raise NotAProductError  # rolls over all axes as one
            for place, dim in enumerate(arguments["dims"]):
                move = {"dims": [1], "shifts": arguments["shifts"][place : place + 1] if self.op == "roll" else []}
                found = found.along(dim, self.evaluate({"self": unit_vectors(shape[dim]), **move}))
            return found
        if self.op == "channel_shuffle":
            groups = arguments["groups"]
            split = found.view((shape[0], groups, shape[1] // groups, *shape[2:]))
            return split.permute((0, 2, 1, *range(3, len(shape) + 1))).view(shape)
        *lead, channels, height, width = shape
        first = len(lead)
        if self.op == "pixel_shuffle":
            r = arguments["upscale_factor"]
            split = found.view((*lead, channels // r**2, r, r, height, width))
            moved = split.permute((*range(first), *(first + axis for axis in (0, 3, 1, 4, 2))))
            return moved.view((*lead, channels // r**2, height * r, width * r))
        r = arguments["downscale_factor"]
        split = found.view((*lead, channels, height // r, r, width // r, r))
        moved = split.permute((*range(first), *(first + axis for axis in (0, 2, 4, 1, 3))))
        return moved.view((*lead, channels * r**2, height // r, width // r))

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_MANY if self.op == "expand" else Spread.ONE_TO_ONE

    @staticmethod
    def _expanded(shape: tuple[int, ...], size: list[int]) -> list[int]:
        aligned = [1] * (len(size) - len(shape)) + list(shape)
        return [old if new == -1 else new for old, new in zip(aligned, size, strict=True)]

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        if axis is None or node.shape is None:
            return None
        if self.op == "expand":
            return axis + len(node.shape) - len(shape)
        return axis if node.shape[axis] == shape[axis] else None


@register
class UpsampleNearest(SelectionOperator):
    """Nearest-neighbour upsampling: every element repeated; "exact" takes the nearest centre."""

    names = (
        "upsample_nearest1d",
        "upsample_nearest2d",
        "upsample_nearest3d",
        "_upsample_nearest_exact1d",
        "_upsample_nearest_exact2d",
        "_upsample_nearest_exact3d",
    )

    @property
    def _mode(self) -> str:
        return "nearest-exact" if "exact" in self.op else "nearest"

    def evaluate(self, arguments: Arguments) -> Tensor:
        values = arguments.get("input", arguments.get("self"))
        size = arguments.get("output_size")
        factors = arguments.get("scale_factors")
        return torch.nn.functional.interpolate(
            values, size=None if size is None else tuple(size), scale_factor=factors, mode=self._mode
        )

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments.get("input", arguments.get("self"))
        axes = int(self.op[-2])
        size, factors = arguments.get("output_size"), arguments.get("scale_factors")
        for axis in range(axes):
            place = len(found.shape) - axes + axis
            each_alone = unit_vectors(found.shape[place]).unsqueeze(1)
            repeated = torch.nn.functional.interpolate(
                each_alone,
                size=None if size is None else per_axis(size, axis),
                scale_factor=None if factors is None else per_axis(factors, axis),
                mode=self._mode,
            )
            found = found.along(place, repeated[:, 0])
        return found

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_MANY
