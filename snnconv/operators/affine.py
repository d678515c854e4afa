"""Weighted operators: convolutions, linear layers, products with a constant matrix, channel-wise affine maps."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from snnconv.graph import Node
from snnconv.operators.operator import Arguments, Carries, Classification, Operator, Role, Spread, register

_WEIGHTS_FROM_DATA = Classification(
    Role.READOUT,
    "its weights are computed from the input",
    "keep the weights constant, or move the operation behind the last activation",
)


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
        weight = arguments["weight"]
        return (torch.conv1d, torch.conv2d, torch.conv3d)[weight.dim() - 3](
            arguments["input"],
            weight,
            arguments["bias"],
            arguments["stride"],
            arguments["padding"],
            arguments["dilation"],
            arguments["groups"],
        )

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return 1 if len(shape) == 2 + int(node.op[4]) else 0  # without a batch axis the channels come first


@register
class Linear(_Weighted):
    """Product with a weight matrix along the last axis."""

    names = ("linear",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.nn.functional.linear(arguments["input"], arguments["weight"], arguments["bias"])

    def mixed_axis(self, carries: Carries) -> int | None:
        return -1

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return len(shape) - 1


@register
class MatrixProduct(Operator):
    """Matrix product of a signal with a constant, on either side."""

    names = ("matmul", "mm", "bmm", "_sparse_mm")

    def classify(self, node: Node, carries: Carries) -> Classification:
        if len(carries) != 2:
            return Classification(Role.REFUSED, "it does more than a matrix product", "leave reduce at its default")
        if all(carries.values()):
            return Classification(
                Role.READOUT,
                "it multiplies two signals",
                "products of two signals are not converted yet; keep one factor constant",
            )
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Tensor:
        left, right = arguments.values()
        return torch.matmul(left, right)

    def paths(self, arguments: Arguments, carries: Carries) -> Tensor:
        # A constant matrix, such as an adjacency, connects where it is not zero.
        factors = (value if carries[key] else _pattern(value) for key, value in arguments.items())
        return torch.matmul(*factors)

    def mixed_axis(self, carries: Carries) -> int | None:
        left, _ = carries.values()
        return -1 if left else -2

    def macs(self, arguments: Arguments, carries: Carries, result: Any) -> int:
        ones = {key: torch.ones_like(value) if carries[key] else value for key, value in arguments.items()}
        with torch.no_grad():
            return int(self.paths(ones, carries).sum())  # none for the zeros of the constant matrix

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return None if node.shape is None else len(node.shape) - 1


def _pattern(matrix: Tensor) -> Tensor:
    """Ones where a constant matrix connects; sparse for a sparse one, of which no zero is stored."""
    if matrix.layout is torch.strided:
        return matrix.ne(0).to(matrix.dtype)
    ones = torch.ones_like(matrix.values())
    return torch.sparse_coo_tensor(matrix.indices(), ones, matrix.shape, check_invariants=False, is_coalesced=True)


@register
class ChannelAffine(Operator):
    """``input * scale + shift`` with one scale and one shift a channel (axis 1): batch normalisation at inference."""

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
