"""Torch modules of NIR nodes: what nirtorch's own lack, such as biases of Affine, padding of sums and IF neurons."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from coding.optional import imported
from hw_export.nir.writing import SNNTORCH_STEP, TIME_CONSTANT
from snnconv.errors import StorageError


class IntegrateFireNode(nn.Module):
    """Neurons that integrate ``resistance`` times their current and fire where they exceed ``threshold``.

    They reset to ``floor``, or by subtracting ``subtracted``. The state is the potential and the last spikes, in the
    shape of the layer, which is that of the population unless it was laid flat.
    """

    def __init__(
        self,
        resistance: Tensor,
        threshold: Tensor,
        floor: Tensor,
        subtracted: float | None,
        initial_potential: float,
        shape: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.register_buffer("resistance", resistance)
        self.register_buffer("threshold", threshold)
        self.register_buffer("floor", floor)
        self.subtracted, self.initial_potential, self.shape = subtracted, initial_potential, shape

    def forward(
        self, current: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Spikes, and the potential after them with the spikes in the shape of the population."""
        before = torch.full_like(current, self.initial_potential) if state is None else state[0].reshape(current.shape)
        potential = before + self.get_buffer("resistance") * current
        fired = potential > self.get_buffer("threshold")
        spikes = fired.to(potential.dtype)
        if self.subtracted is None:
            potential = torch.where(fired, self.get_buffer("floor"), potential)
        else:
            potential = potential - spikes * self.subtracted
        shape = (len(current), *self.shape)
        return spikes, (potential.reshape(shape), spikes.reshape(shape))


def node_map() -> dict[type, Callable[[Any], nn.Module]]:
    """A node map for ``nirtorch.nir_to_torch``; its functions raise ``StorageError`` for what they cannot represent.

    Pass it as ``nirtorch.nir_to_torch(graph, node_map(), dtype=...)`` to run an exported graph exactly.
    """
    nir = imported("nir", "snnconv[nir]")
    return {
        nir.Input: lambda node: nn.Identity(),
        nir.Output: lambda node: nn.Identity(),
        nir.Affine: lambda node: _linear(node.weight, node.bias),
        nir.Linear: lambda node: _linear(node.weight, None),
        nir.Conv2d: _convolution,
        nir.Flatten: lambda node: nn.Flatten(int(node.start_dim), int(node.end_dim)),
        nir.SumPool2d: lambda node: nn.AvgPool2d(
            _pair(node.kernel_size), _pair(node.stride), _pair(node.padding), divisor_override=1
        ),
        nir.AvgPool2d: lambda node: nn.AvgPool2d(_pair(node.kernel_size), _pair(node.stride), _pair(node.padding)),
        nir.IF: lambda node: _integrate_fire(node, node.r),
        nir.LIF: _without_leak,
    }


def _tensor(array: Any) -> Tensor:
    """The numbers of a node, real ones: the module of the graph casts these to its precision, and whole ones not."""
    tensor = torch.from_numpy(array)
    return tensor if tensor.is_floating_point() else tensor.double()


def _linear(weight: Any, bias: Any) -> nn.Linear:
    if weight.ndim != 2:
        raise StorageError(f"a weight of shape {weight.shape} is no matrix")
    module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    module.weight = nn.Parameter(_tensor(weight), requires_grad=False)
    if bias is not None:
        module.bias = nn.Parameter(_tensor(bias), requires_grad=False)
    return module


def _convolution(node: Any) -> nn.Conv2d:
    padding = node.padding if isinstance(node.padding, str) else _pair(node.padding)
    module = nn.Conv2d(
        node.weight.shape[1] * int(node.groups),
        node.weight.shape[0],
        node.weight.shape[2:],
        _pair(node.stride),
        padding,
        _pair(node.dilation),
        int(node.groups),
        device="meta",
    )
    module.weight = nn.Parameter(_tensor(node.weight), requires_grad=False)
    module.bias = nn.Parameter(_tensor(node.bias), requires_grad=False)
    return module


def _without_leak(node: Any) -> IntegrateFireNode:
    leak = np.abs(SNNTORCH_STEP / node.tau) > SNNTORCH_STEP / TIME_CONSTANT * 1.001
    if leak.any() or node.v_leak.any() or not np.allclose(node.r * SNNTORCH_STEP / node.tau, 1.0):
        raise StorageError(
            "a LIF node leaks or scales its current; only those that integrate, as exported with "
            'neuron="LIF-snntorch", can be read'
        )
    return _integrate_fire(node, np.ones_like(node.r))


def _integrate_fire(node: Any, resistance: Any) -> IntegrateFireNode:
    said = node.metadata
    name = said.get("name", "an IF node")
    reset, start = said.get("reset", "zero"), float(said.get("initial_potential", 0.0))
    subtracted = float(said.get("subtracted", 1.0)) if reset == "subtract" else None
    if reset not in ("zero", "subtract") or not math.isfinite(start) or not math.isfinite(subtracted or 0.0):
        raise StorageError(
            f"metadata of {name} says reset {reset!r}, initial potential {start}, subtracted {subtracted}, which "
            "cannot be run"
        )
    resistance, threshold, floor = (_tensor(each) for each in (resistance, node.v_threshold, node.v_reset))
    shape = sample_shape(node, node.output_type["output"])
    return IntegrateFireNode(resistance, threshold, floor, subtracted, start, shape)


def sample_shape(node: Any, laid: Any) -> tuple[int, ...]:
    """The shape of one sample before it was laid flat, which only metadata can tell."""
    sizes = tuple(int(size) for size in laid)
    said = tuple(int(size) for size in np.atleast_1d(node.metadata.get("shape", sizes)))
    if any(size < 0 for size in said) or math.prod(said) != math.prod(sizes):
        raise StorageError(f"metadata says that {sizes} values have shape {said}")
    return said


def _pair(value: Any) -> tuple[int, int]:
    sizes = [int(size) for size in np.atleast_1d(value)]
    return (sizes[0], sizes[-1])
