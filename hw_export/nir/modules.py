"""Torch modules of NIR nodes: what nirtorch's own lack, such as biases of Affine, axes of one sample, and neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from coding.optional import imported
from hw_export.nir.neuron_nodes import NeuronNode, ThresholdNode, tensor_of
from hw_export.nir.profiles import SNNTORCH_STEP, TIME_CONSTANT
from snnconv.errors import StorageError


class FlattenNode(nn.Module):
    """Axes ``first`` to ``last`` of one sample as one; those below 0 count from the last, as in NIR."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first, self.last = first, last

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(*(axis + 1 if axis >= 0 else axis for axis in (self.first, self.last)))


class ScaleNode(nn.Module):
    """A factor for each value of a sample."""

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.shape = None if scale.numel() == 1 else tuple(scale.shape)
        self.register_buffer("scale", scale.reshape(()) if scale.numel() == 1 else scale)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.get_buffer("scale")


def node_map(dt: float | None = None) -> dict[type, Callable[[Any], nn.Module]]:
    """A node map for ``nirtorch.nir_to_torch``; its functions raise ``StorageError`` for what they cannot represent.

    Pass it as ``nirtorch.nir_to_torch(graph, node_map(), dtype=...)`` to run an exported graph exactly. ``dt`` is the
    time step in seconds, which neurons with time constants need; without it a step is the unit of time.
    """
    nir = imported("nir", "snnconv[nir]")

    def neurons(node: Any) -> NeuronNode:
        return neuron_node(node, dt)

    return {
        nir.Input: lambda node: nn.Identity(),
        nir.Output: lambda node: nn.Identity(),
        nir.Affine: lambda node: _linear(node.weight, node.bias),
        nir.Linear: lambda node: _linear(node.weight, None),
        nir.Conv1d: lambda node: _convolution(node, nn.Conv1d, 1),
        nir.Conv2d: lambda node: _convolution(node, nn.Conv2d, 2),
        nir.Scale: lambda node: ScaleNode(tensor_of(node.scale)),
        nir.Flatten: lambda node: FlattenNode(int(node.start_dim), int(node.end_dim)),
        nir.SumPool2d: lambda node: _pool(node, divisor=1),
        nir.AvgPool2d: lambda node: _pool(node, divisor=None),
        nir.Threshold: ThresholdNode,
        **dict.fromkeys((nir.I, nir.IF, nir.LI, nir.LIF, nir.CubaLI, nir.CubaLIF), neurons),
    }


def neuron_node(node: Any, dt: float | None) -> NeuronNode:
    """The module of a neuron; raises ``StorageError`` for one with time constants where ``dt`` is not known."""
    nir = imported("nir", "snnconv[nir]")
    if isinstance(node, nir.LIF) and _stands_for_if(node):
        return NeuronNode(nir.IF(np.ones_like(node.r), node.v_threshold, node.v_reset, metadata=node.metadata), 1.0)
    if dt is None and any(hasattr(node, key) for key in ("tau", "tau_mem")):
        raise StorageError(
            "it has time constants, and no time step is known: give dt=, in seconds, as the simulation that the graph "
            "was made for has it (1e-4 in snntorch and spikingjelly), or 'dt' in the graph's metadata"
        )
    return NeuronNode(node, 1.0 if dt is None else dt)


def _stands_for_if(node: Any) -> bool:
    """Whether ``export`` wrote these for a reader that knows no others: nothing leaks, and no current is scaled."""
    leak = SNNTORCH_STEP / np.asarray(node.tau, dtype=np.float64)
    return (
        str(node.metadata.get("code")) == "rate"
        and not node.v_leak.any()
        and bool((np.abs(leak) <= SNNTORCH_STEP / TIME_CONSTANT * 1.001).all())
        and bool(np.allclose(node.r * leak, 1.0))
    )


def _linear(weight: Any, bias: Any) -> nn.Linear:
    if weight.ndim != 2:
        raise StorageError(f"a weight of shape {weight.shape} is no matrix")
    module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    _fill(module, weight, bias)
    return module


def _convolution(node: Any, kind: Any, axes: int) -> nn.Module:
    if node.weight.ndim != axes + 2:
        raise StorageError(f"a weight of shape {node.weight.shape} is no kernel of a convolution over {axes} axes")
    padding = node.padding if isinstance(node.padding, str) else _sizes(node.padding, axes)
    (groups,) = _sizes(node.groups, 1)
    module: nn.Module = kind(
        node.weight.shape[1] * groups,
        node.weight.shape[0],
        node.weight.shape[2:],
        _sizes(node.stride, axes),
        padding,
        _sizes(node.dilation, axes),
        groups,
        bias=node.bias is not None,
        device="meta",
    )
    _fill(module, node.weight, node.bias)
    return module


def _fill(module: nn.Module, weight: Any, bias: Any) -> None:
    module.weight = nn.Parameter(tensor_of(weight), requires_grad=False)
    if bias is None:
        return
    if bias.shape != weight.shape[:1]:
        raise StorageError(f"a bias of shape {bias.shape} does not fit {weight.shape[0]} results")
    module.bias = nn.Parameter(tensor_of(bias), requires_grad=False)


def _pool(node: Any, divisor: int | None) -> nn.AvgPool2d:
    kernel, stride, padding = (_sizes(each, 2) for each in (node.kernel_size, node.stride, node.padding))
    return nn.AvgPool2d(
        (kernel[0], kernel[1]), (stride[0], stride[1]), (padding[0], padding[1]), divisor_override=divisor
    )


def _sizes(value: Any, axes: int) -> tuple[int, ...]:
    """One size an axis; a single one is that of all."""
    sizes = [int(size) for size in np.atleast_1d(value)]
    if sizes != np.atleast_1d(value).tolist():
        raise StorageError(f"{value!r} is no whole number, or holds one that is none")
    if len(sizes) not in (1, axes):
        raise StorageError(f"{value!r} has {len(sizes)} sizes, and the node has {axes} axes")
    return tuple(sizes * axes if len(sizes) == 1 else sizes)
