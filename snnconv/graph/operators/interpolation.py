"""Interpolation with weights: linear, cubic and antialiased resizing, which weighs the positions of each axis."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, register
from snnconv.graph.reach import Reach, unit_vectors

#: Length of the axes that are not looked at; torch takes images of width 1 for images of another layout.
_OTHERS = 2


@register
class Interpolation(Operator):
    """Every output element is a weighted sum of its neighbours among the input's positions."""

    names = (
        "upsample_linear1d",
        "upsample_bilinear2d",
        "upsample_bicubic2d",
        "upsample_trilinear3d",
        "_upsample_bilinear2d_aa",
        "_upsample_bicubic2d_aa",
    )

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return getattr(torch.ops.aten, self.op)(*arguments.values())  # type: ignore[no-any-return]

    def paths(self, arguments: Arguments, carries: Carries) -> Tensor:
        result: Tensor = _values(arguments)
        for axis, pattern in self._patterns(arguments, tuple(result.shape)):
            result = torch.movedim(torch.movedim(result, axis, -1) @ pattern.to(result), -1, axis)
        return result

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = _values(arguments)
        for axis, pattern in self._patterns(arguments, found.shape):
            found = found.along(axis, pattern)
        return found

    def macs(self, arguments: Arguments, carries: Carries, result: Any) -> int:
        shape = tuple(_values(arguments).shape)
        patterns = self._patterns(arguments, shape)
        return int(math.prod(shape[: -len(patterns)]) * math.prod(int(pattern.sum()) for _, pattern in patterns))

    def _patterns(self, arguments: Arguments, shape: tuple[int, ...]) -> list[tuple[int, Tensor]]:
        """For each resized axis (from the end), where the weights are not zero, ``[length before, length after]``."""
        axes = next(int(letter) for letter in self.op if letter.isdigit())
        found = []
        for axis in range(-axes, 0):
            each_alone = unit_vectors(shape[axis]).double()
            alone, copied = [len(each_alone), 1, *[1] * axes], [len(each_alone), 1, *[_OTHERS] * axes]
            alone[axis] = copied[axis] = shape[axis]
            images = each_alone.view(alone).expand(copied).contiguous()
            values = self.evaluate(_along_one_axis(arguments, axes, axis, images))
            pattern = values.movedim(axis, 1).flatten(2)[:, :, 0]
            found.append((axis, pattern.ne(0)))
        return found


def _values(arguments: Arguments) -> Any:
    return arguments.get("input", arguments.get("self"))


def _along_one_axis(arguments: Arguments, axes: int, axis: int, values: Tensor) -> dict[str, Any]:
    """The arguments for ``values``, which are the same all along the axes but one, and stay so."""
    changed = {key: values if key in ("input", "self") else value for key, value in arguments.items()}
    if changed["output_size"] is not None:
        changed["output_size"] = [
            size if place - axes == axis else _OTHERS for place, size in enumerate(changed["output_size"])
        ]
    if changed.get("scale_factors") is not None:
        factors = enumerate(changed["scale_factors"])
        changed["scale_factors"] = [factor if place - axes == axis else 1.0 for place, factor in factors]
    by_axis = [key for key in arguments if key.startswith("scales")]  # one argument an axis, the first axis first
    return {**changed, **{key: None for place, key in enumerate(by_axis) if place - axes != axis}}
