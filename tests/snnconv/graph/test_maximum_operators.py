"""Maxima: pooling and reductions against loops."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snnconv.graph.graph import Graph, refs_in
from snnconv.graph.interpreter import evaluate_graph
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.pooling import MaximumOperator
from tests.support.operators import Apply, capture_each


def maximum_in(graph: Graph) -> tuple[MaximumOperator, dict[str, Any]]:
    """The maximum operator of a captured model with its arguments, the input aside."""
    (node,) = [node for node in graph.nodes.values() if isinstance(OPERATORS[node.op], MaximumOperator)]
    operator = OPERATORS[node.op]
    assert isinstance(operator, MaximumOperator)
    arguments = {key: value for key, value in node.arguments.items() if not any(refs_in(value))}
    return operator, arguments


def pooled_positions(length: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> list[list[int]]:
    """Input positions of every window of one axis, from the definition in torch's documentation."""
    exact = (length + 2 * padding - dilation * (kernel - 1) - 1) / stride
    count = (math.ceil(exact) if ceil else math.floor(exact)) + 1
    if ceil and (count - 1) * stride >= length + padding:
        count -= 1  # a window must start inside the input or the left padding
    windows = [[start * stride - padding + dilation * k for k in range(kernel)] for start in range(count)]
    return [[position for position in window if 0 <= position < length] for window in windows]


def adaptive_positions(length: int, count: int) -> list[list[int]]:
    return [list(range(i * length // count, -(-(i + 1) * length // count))) for i in range(count)]


def largest(values: Tensor, windows: list[list[list[int]]]) -> Tensor:
    """The largest entry of each window, written as loops."""
    value = values.numpy()
    lead = value.shape[: value.ndim - len(windows)]
    result = np.empty((*lead, *(len(axis) for axis in windows)), dtype=value.dtype)
    for index in np.ndindex(lead):
        for out in np.ndindex(*(len(axis) for axis in windows)):
            places = itertools.product(*(axis[o] for axis, o in zip(windows, out, strict=True)))
            result[index][out] = max(value[index][place] for place in places)
    return torch.from_numpy(result)


SLIDING = [
    (1, {"kernel_size": 2}),
    (1, {"kernel_size": 3, "stride": 2, "padding": 1}),
    (1, {"kernel_size": 3, "stride": 2, "dilation": 2, "ceil_mode": True}),
    (2, {"kernel_size": 2}),
    (2, {"kernel_size": 3, "stride": 2, "padding": 1}),
    (2, {"kernel_size": 3, "stride": 1, "padding": 1}),
    (2, {"kernel_size": 2, "stride": 2, "ceil_mode": True}),
    (2, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    (2, {"kernel_size": 2, "stride": 1, "dilation": 2}),
    (3, {"kernel_size": 2, "stride": 1}),
]


def distinct(*shape: int, seed: int) -> Tensor:
    order = torch.randperm(math.prod(shape), generator=torch.Generator().manual_seed(seed))
    return order.view(shape).double() - math.prod(shape) / 2


def check_selection(module: nn.Module, graph: Graph, shape: tuple[int, ...], windows: list[list[list[int]]]) -> None:
    operator, arguments = maximum_in(graph)
    values = distinct(*shape, seed=1)
    found = operator.evaluate({**arguments, "self": values})
    assert torch.equal(found, largest(values, windows))
    assert torch.equal(found, module(values))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_sliding_maximum_is_what_a_loop_finds(axes: int) -> None:
    shape = (2, 3, 5, 6, 4)[: 2 + axes]
    choices = [options for wanted, options in SLIDING if wanted == axes]
    modules = [(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[axes - 1](**options) for options in choices]
    for module, graph, options in zip(modules, capture_each(modules, distinct(*shape, seed=0)), choices, strict=True):
        full = {"stride": options["kernel_size"], "padding": 0, "dilation": 1, "ceil_mode": False, **options}
        keys = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        windows = [pooled_positions(length, *(full[key] for key in keys)) for length in shape[2:]]
        check_selection(module, graph, shape, windows)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_an_adaptive_maximum_is_what_a_loop_finds(axes: int) -> None:
    shape = (2, 3, 5, 6, 4)[: 2 + axes]
    sizes = {1: [(3,), (5,)], 2: [(1, 1), (3, 4), (2, 5)], 3: [(2, 4, 3)]}[axes]
    make: Any = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)[axes - 1]
    modules = [make(size if axes > 1 else size[0]) for size in sizes]
    for module, graph, size in zip(modules, capture_each(modules, distinct(*shape, seed=0)), sizes, strict=True):
        windows = [adaptive_positions(length, count) for length, count in zip(shape[2:], size, strict=True)]
        check_selection(module, graph, shape, windows)


def test_a_maximum_along_axes_is_what_a_loop_finds() -> None:
    shape = (2, 3, 4, 5)
    choices = list(itertools.product([(1,), (-1,), (2, 3), (3, 1), (1, 2, 3)], [False, True]))
    modules: list[nn.Module] = [Apply(partial(torch.amax, dim=dims, keepdim=keep)) for dims, keep in choices]
    values = distinct(*shape, seed=1)
    for module, graph, (dims, keepdim) in zip(modules, capture_each(modules, values), choices, strict=True):
        operator, arguments = maximum_in(graph)
        reduced = sorted(dim % 4 for dim in dims)
        order = [dim for dim in range(4) if dim not in reduced] + reduced
        whole = [[list(range(shape[dim]))] for dim in reduced]
        expected = largest(values.permute(order), whole)
        kept = [1 if dim in reduced else shape[dim] for dim in range(4)]
        expected = expected.reshape(kept if keepdim else [shape[dim] for dim in range(4) if dim not in reduced])
        found = operator.evaluate({**arguments, "self": values})
        assert torch.equal(found, expected)
        assert torch.equal(found, module(values))


def test_the_values_half_of_a_maximum_with_indices_is_a_maximum() -> None:
    modules: list[nn.Module] = [
        Apply(lambda x: torch.max(x, dim=1).values),
        Apply(lambda x: torch.max(x, dim=-1, keepdim=True)[0]),
        Apply(lambda x: F.max_pool2d(x, 2, return_indices=True)[0]),
        Apply(lambda x: F.adaptive_max_pool2d(x, 3, return_indices=True)[0]),
    ]
    values = distinct(2, 3, 4, 5, seed=0)
    for module, graph in zip(modules, capture_each(modules, values), strict=True):
        maximum_in(graph)
        assert torch.equal(evaluate_graph(graph, (values,))[0], module(values))
