"""Norms written out: means, squares, roots and quotients of a signal, as ATen's functions define them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any

import torch
from torch import Tensor

from snnconv.capture.expansion import Parts, expanded
from snnconv.graph.graph import Graph, Node
from snnconv.graph.operators.roles import before_stations


def layer_norms_written_out(graph: Graph, real_valued: Set[str] = frozenset()) -> Graph:
    """Every layer norm that weights or populations depend on, as what it is made of.

    (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * weight + bias, with means over the last axes. One that only the
    output depends on stays what it is.
    """
    signals = graph.signals()
    if not any(node.op == "layer_norm" for node in graph.nodes.values()):
        return graph
    needed, _ = before_stations(graph, signals, real_valued)

    def expand(node: Node) -> Iterable[Node]:
        return _layer_norm(node) if node.op == "layer_norm" and node.name in needed & signals else [node]

    return expanded(graph, expand)


def _layer_norm(node: Node) -> Iterable[Node]:
    given = node.arguments
    axes = [*range(-len(given["normalized_shape"]), 0)]
    parts = Parts(node)
    mean = parts.add("mean", self=given["input"], dim=axes, keepdim=True, dtype=None)
    centred = parts.add("sub", self=given["input"], other=mean, alpha=1)
    square = parts.add("mul", self=centred, other=centred)
    variance = parts.add("mean", self=square, dim=axes, keepdim=True, dtype=None)
    raised = parts.add("add", self=variance, other=given["eps"], alpha=1)
    found = parts.add("div", self=centred, other=parts.add("sqrt", self=raised))
    if given["weight"] is not None:
        found = parts.add("mul", self=found, other=given["weight"])
    if given["bias"] is not None:
        parts.add("add", self=found, other=given["bias"], alpha=1)
    return parts.nodes


def _variance(
    values: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    return _moments(values, dim, correction=correction, keepdim=keepdim)[0]


def _moments(
    values: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    """Variance and mean along axes."""
    axes = [*range(values.dim())] if not dim else [*dim]
    mean = values.mean(axes, keepdim=True)
    centred = values - mean
    number = math.prod(values.shape[axis] for axis in axes)
    square: Tensor = (centred * centred).sum(axes, keepdim=keepdim)
    variance = square / (number - (1 if correction is None else correction))
    return variance, mean if keepdim else mean.squeeze(axes)


def _deviation(
    values: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    return _variance(values, dim, correction=correction, keepdim=keepdim).sqrt()


def _deviation_and_mean(
    values: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    variance, mean = _moments(values, dim, correction=correction, keepdim=keepdim)
    return variance.sqrt(), mean


def _normalised(values: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    """``values`` with mean 0 and variance 1 along axes, up to ``eps``."""
    centred = values - values.mean([*axes], keepdim=True)
    variance = (centred * centred).mean([*axes], keepdim=True)
    return centred / (variance + eps).sqrt()


def _group_norm(
    values: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    grouped = values.view(values.shape[0], num_groups, -1, *values.shape[2:])
    return _by_channel(_normalised(grouped, range(2, grouped.dim()), eps).flatten(1, 2), weight, bias)


def _instance_norm(
    values: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """Instance norm by the sample's own statistics; by running ones it is a batch norm."""
    if not use_input_stats:
        return torch.batch_norm(values, weight, bias, running_mean, running_var, False, momentum, eps, cudnn_enabled)
    return _by_channel(_normalised(values, range(2, values.dim()), eps), weight, bias)


def _by_channel(values: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    shape = (-1, *[1] * (values.dim() - 2))
    values = values if weight is None else values * weight.view(shape)
    return values if bias is None else values + bias.view(shape)


def _rms_norm(
    values: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    found = values / _raised_square(values, normalized_shape, eps).sqrt()
    return found if weight is None else found * weight


def _fused_rms_norm(
    values: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, eps: float | None
) -> tuple[Tensor, Tensor]:
    return _rms_norm(values, normalized_shape, weight, eps), _raised_square(values, normalized_shape, eps).rsqrt()


def _raised_square(values: Tensor, normalized_shape: Sequence[int], eps: float | None) -> Tensor:
    """The mean square along the last axes, and ``eps``, by default that of the precision."""
    square = (values * values).mean([*range(-len(normalized_shape), 0)], keepdim=True)
    return square + (torch.finfo(values.dtype).eps if eps is None else eps)


def _vector_norm(
    values: Tensor,
    ord: float = 2.0,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """The norms with exponents 1 and 2, which all that follows can be made of; that with 0 counts, and so jumps."""
    axes = [*range(values.dim())] if dim is None else [*dim]
    if ord == 0:
        return values.ne(0).to(values.dtype).sum(axes, keepdim=keepdim)
    if ord == 1:
        return values.abs().sum(axes, keepdim=keepdim)
    if ord == math.inf:
        return values.abs().amax(axes, keepdim=keepdim)
    if ord == -math.inf:
        return values.abs().amin(axes, keepdim=keepdim)
    if ord == 2:
        return (values * values).sum(axes, keepdim=keepdim).sqrt()
    return values.abs().pow(ord).sum(axes, keepdim=keepdim).pow(1 / ord)


_aten = torch.ops.aten

#: What operators of ATen are made of, by operator.
NORMS: dict[torch._ops.OperatorBase, Callable[..., Any]] = {
    _aten.var.correction: _variance,
    _aten.std.correction: _deviation,
    _aten.var_mean.correction: _moments,
    _aten.std_mean.correction: _deviation_and_mean,
    _aten.group_norm.default: _group_norm,
    _aten.instance_norm.default: _instance_norm,
    _aten.rms_norm.default: _rms_norm,
    _aten._fused_rms_norm.default: _fused_rms_norm,
    _aten.linalg_vector_norm.default: _vector_norm,
}
