"""Weighted operators: convolutions, linear layers, products with a constant matrix, channel-wise affine maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, Spread, per_axis, register
from snnconv.graph.operators.bilinear import BilinearOperator, summed, total_of_products
from snnconv.graph.reach import NotAProductError, Reach, unit_vectors

_WEIGHTS_FROM_DATA = Classification(
    Role.READOUT,
    "its weights are computed from the input",
    "keep the weights constant",
)

#: Elements that are converted to another precision, or written out for a convolution, at a time.
_AT_ONCE = 2**23


class _Weighted(Operator):
    """An input times a weight plus a bias."""

    def classify(self, node: Node, carries: Carries) -> Classification:
        if carries["weight"] or carries.get("bias"):
            return _WEIGHTS_FROM_DATA
        return Classification(Role.LINEAR)

    def homogeneous(self, arguments: Arguments, carries: Carries) -> Arguments:
        return {**arguments, "bias": None}

    def paths(self, arguments: Arguments, carries: Carries) -> Any:
        ones = torch.ones_like(arguments["weight"])
        return self.evaluate({**arguments, "weight": ones, "bias": None})

    def macs(self, arguments: Arguments, carries: Carries, result: Any) -> int:
        return int(result.numel() * math.prod(arguments["weight"].shape[1:]))


@register
class Convolution(_Weighted):
    """Convolution in one, two or three dimensions."""

    names = ("conv1d", "conv2d", "conv3d")

    def evaluate(self, arguments: Arguments) -> Tensor:
        given, weight = arguments["input"], arguments["weight"]
        options = [arguments[key] for key in ("bias", "stride", "padding", "dilation", "groups")]
        convolution = (torch.conv1d, torch.conv2d, torch.conv3d)[weight.dim() - 3]
        if given.dtype is torch.float64 and given.dim() == weight.dim():
            # In this precision torch writes out what every window sees, for all samples that it is given.
            samples = max(1, _AT_ONCE // (given[0].numel() * math.prod(weight.shape[2:])))
            if samples < len(given):
                return torch.cat([convolution(part, weight, *options) for part in given.split(samples)])
        return convolution(given, weight, *options)

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["input"]
        outputs, _, *kernel = arguments["weight"].shape
        first = len(found.shape) - len(kernel)
        inputs, groups = found.shape[first - 1], arguments["groups"]
        of_input, of_output = (torch.arange(size) // (size // groups) for size in (inputs, outputs))
        found = found.along(first - 1, of_input[:, None] == of_output)
        for axis, size in enumerate(kernel):
            options = (per_axis(arguments[key], axis) for key in ("stride", "padding", "dilation"))
            each_alone = unit_vectors(found.shape[first + axis]).unsqueeze(1)
            found = found.along(
                first + axis,
                torch.conv1d(each_alone, torch.ones(1, 1, size, dtype=torch.float32), None, *options)[:, 0],
            )
        return found

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return 1 if len(shape) == 2 + int(node.op[4]) else 0  # without a batch axis the channels come first


@register
class TransposedConvolution(_Weighted):
    """Transposed convolution in one, two or three dimensions; weights are ``[inputs, outputs / groups, *kernel]``."""

    names = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
    _functions = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)
    _options = ("stride", "padding", "output_padding", "groups", "dilation")

    def evaluate(self, arguments: Arguments) -> Tensor:
        function = self._functions[arguments["weight"].dim() - 3]
        options = (arguments[key] for key in self._options)
        return function(arguments["input"], arguments["weight"], arguments["bias"], *options)

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["input"]
        inputs, each, *kernel = arguments["weight"].shape
        first, groups = len(found.shape) - len(kernel), arguments["groups"]
        of_input, of_output = torch.arange(inputs) // (inputs // groups), torch.arange(each * groups) // each
        found = found.along(first - 1, of_input[:, None] == of_output)
        for axis, pattern in enumerate(self._patterns(arguments, found.shape[first:])):
            found = found.along(first + axis, pattern)
        return found

    def macs(self, arguments: Arguments, carries: Carries, result: Any) -> int:
        shape = arguments["input"].shape
        first = len(shape) - (arguments["weight"].dim() - 2)
        taps = (int(pattern.sum()) for pattern in self._patterns(arguments, shape[first:]))
        return int(math.prod(shape[:first]) * arguments["weight"].shape[1] * math.prod(taps))

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return 1 if len(shape) == 2 + int(node.op[-2]) else 0  # without a batch axis the channels come first

    def _patterns(self, arguments: Arguments, lengths: Sequence[int]) -> list[Tensor]:
        """Which positions of the result each position of the input reaches, for every axis of the kernel."""
        found = []
        for axis, (length, size) in enumerate(zip(lengths, arguments["weight"].shape[2:], strict=True)):
            options = (1 if key == "groups" else per_axis(arguments[key], axis) for key in self._options)
            each_alone, ones = unit_vectors(length).unsqueeze(1), torch.ones(1, 1, size, dtype=torch.float32)
            found.append(torch.conv_transpose1d(each_alone, ones, None, *options)[:, 0])
        return found


@register
class Linear(_Weighted):
    """Product with a weight matrix along the last axis."""

    names = ("linear",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        given, weight, bias = (arguments[key] for key in ("input", "weight", "bias"))
        if weight.dtype == given.dtype:
            return torch.nn.functional.linear(given, weight, bias)
        # A large weight in another precision (``Doubles``): some rows at a time, so that it is never held twice.
        rows = weight.split(max(1, _AT_ONCE // weight.shape[1]))
        result = torch.cat([torch.nn.functional.linear(given, part.to(given.dtype)) for part in rows], -1)
        return result if bias is None else result + bias

    def paths(self, arguments: Arguments, carries: Carries) -> Any:
        given, weight = arguments["input"], arguments["weight"]
        if weight.layout is not torch.strided:
            return super().paths(arguments, carries)
        return given.sum(-1, keepdim=True).expand(*given.shape[:-1], len(weight))

    def mixed_axis(self, carries: Carries) -> int | None:
        return -1

    def reach(self, arguments: Arguments) -> Reach:
        return arguments["input"].along(-1, torch.ones_like(arguments["weight"]).t())  # type: ignore[no-any-return]

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return len(shape) - 1


@register
class MatrixProduct(BilinearOperator):
    """Matrix product of two signals, or of a signal with a constant, on either side."""

    names = ("matmul", "mm", "bmm", "_sparse_mm")

    def classify(self, node: Node, carries: Carries) -> Classification:
        if len(carries) != 2:
            return Classification(Role.REFUSED, "it does more than a matrix product", "leave reduce at its default")
        return super().classify(node, carries)

    def evaluate(self, arguments: Arguments) -> Tensor:
        left, right = arguments.values()
        return torch.matmul(left, right)

    def paths(self, arguments: Arguments, carries: Carries) -> Tensor:
        # A constant matrix, such as an adjacency, connects where it is not zero.
        factors = (value if carries[key] else _pattern(value) for key, value in arguments.items())
        return torch.matmul(*factors)

    def total(self, arguments: Arguments, largest: float) -> float:
        left, right = arguments.values()
        # Every element of a column of the left meets all those of a row of the right.
        columns = summed(left, [-2] if left.dim() > 1 else [], largest)
        rows = summed(right, [-1] if right.dim() > 1 else [], largest)
        return total_of_products(columns, rows.transpose(-1, -2) if right.dim() > 1 else rows, largest)

    def reach(self, arguments: Arguments) -> Reach:
        left, right = arguments.values()
        if isinstance(left, Reach) and right.dim() == 2:
            return left.along(-1, _pattern(right))
        if isinstance(right, Reach) and left.dim() == 2 and len(right.shape) > 1:
            return right.along(-2, _pattern(left).t())
        raise NotAProductError  # a matrix for every entry of another axis, or a vector

    def mixed_axis(self, carries: Carries) -> int | None:
        left, _ = carries.values()
        return -1 if left else -2

    def macs(self, arguments: Arguments, carries: Carries, result: Any) -> int:
        ones = {key: torch.ones_like(value) if carries[key] else value for key, value in arguments.items()}
        with torch.no_grad():
            return int(self.paths(ones, carries).sum())  # none for the zeros of the constant matrix

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return None if node.shape is None else len(node.shape) - 1

    def channel_axis_of_two(self, axes: Sequence[int | None]) -> int | None:
        left, right = axes
        if right == -1:
            return -1
        return left if left != -1 else None  # the other has summed them up: pairs of positions have no channels


def _pattern(matrix: Tensor) -> Tensor:
    """Ones where a constant matrix connects; sparse for a sparse one, of which no zero is stored."""
    if matrix.layout is torch.strided:
        return matrix.ne(0).to(matrix.dtype)
    ones = torch.ones_like(matrix.values())
    return torch.sparse_coo_tensor(matrix.indices(), ones, matrix.shape, check_invariants=False, is_coalesced=True)


@register
class ChannelAffine(Operator):
    """``input * scale + shift`` with one scale and one shift per channel (axis 1): batch normalisation at inference."""

    names = ("channel_affine",)

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Tensor:
        values = arguments["input"]
        shape = (1, -1) + (1,) * (values.dim() - 2)
        return torch.addcmul(arguments["shift"].view(shape), values, arguments["scale"].view(shape))

    def homogeneous(self, arguments: Arguments, carries: Carries) -> Arguments:
        return {**arguments, "shift": torch.zeros_like(arguments["shift"])}

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ELEMENTWISE

    def paths(self, arguments: Arguments, carries: Carries) -> Tensor:
        values: Tensor = arguments["input"]
        return values

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["input"]
        return found


@register
class BatchNorm(Operator):
    """Batch normalisation; with running statistics it is a channel-wise affine map."""

    names = ("batch_norm", "_native_batch_norm_legit")

    def classify(self, node: Node, carries: Carries) -> Classification:
        training = node.op == "_native_batch_norm_legit" or node.arguments.get("training", False)
        if training or node.arguments.get("running_mean") is None:
            return Classification(
                Role.REFUSED,
                "it normalises by the statistics of the current batch",
                "give the layer running statistics (track_running_stats=True) and export in eval mode",
            )
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.nn.functional.batch_norm(
            arguments["input"],
            arguments["running_mean"],
            arguments["running_var"],
            arguments["weight"],
            arguments["bias"],
            training=False,
            eps=arguments["eps"],
        )

    def homogeneous(self, arguments: Arguments, carries: Carries) -> Arguments:
        return {**arguments, "running_mean": torch.zeros_like(arguments["running_mean"]), "bias": None}

    def paths(self, arguments: Arguments, carries: Carries) -> Tensor:
        values: Tensor = arguments["input"]
        return values
