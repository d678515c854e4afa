"""Operators that say with other words what others say."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnconv
from snnconv.capture.normal_form import normal_form
from snnconv.capture.translation import capture
from snnconv.graph.interpreter import evaluate_graph
from tests.support.operators import Apply

SHAPE = (4, 3, 3)
FUNCTIONS: dict[str, tuple[Callable[[Tensor], Any], set[str]]] = {
    "maximum": (lambda x: torch.max(x, x.flip(1)), {"flip", "maximum"}),
    "minimum": (lambda x: torch.min(x, x.flip(1)), {"flip", "minimum"}),
    "largest along an axis": (lambda x: torch.max(x, 1).values, {"amax"}),
    "smallest along an axis": (lambda x: torch.min(x, 1, keepdim=True)[0], {"neg", "amax"}),
    "smallest along axes": (lambda x: x.amin((2, 3)), {"neg", "amax"}),
    "padding that never wins": (
        lambda x: F.max_pool2d(F.pad(x, (1, 2, 0, 1), value=-math.inf), (2, 3), stride=2),
        {"pad", "max_pool2d"},
    ),
}


def inputs(count: int) -> Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(count), dtype=torch.float64)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_operator_by_another_name_is_the_registered_one(name: str) -> None:
    function, expected = FUNCTIONS[name]
    graph = capture(Apply(function), (inputs(3),))
    assert {node.op for node in graph.nodes.values()} == expected
    for size in (1, 4):
        torch.testing.assert_close(evaluate_graph(graph, (inputs(size),))[0], function(inputs(size)))


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("inplace", [False, True])
def test_instance_norm_by_running_statistics_folds_as_batch_norm_does(affine: bool, inplace: bool) -> None:
    torch.manual_seed(0)
    norm = nn.InstanceNorm2d(5, affine=affine, track_running_stats=True)
    model = nn.Sequential(nn.Conv2d(4, 5, 2), norm, nn.ReLU(inplace)).double().eval()
    assert norm.running_mean is not None and norm.running_var is not None
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2.0)
    graph = normal_form(capture(model, (inputs(3),)), (inputs(3),))
    assert [node.op for node in graph.nodes.values()] == ["conv2d", "relu"]
    for size in (1, 4):
        torch.testing.assert_close(evaluate_graph(graph, (inputs(size),))[0], model(inputs(size)))


def test_instance_norm_over_the_sample_itself_is_what_it_is_made_of() -> None:
    model = nn.Sequential(nn.InstanceNorm2d(4), nn.ReLU()).double()
    graph = capture(model, (inputs(3),))
    assert "instance_norm" not in [node.op for node in graph.nodes.values()]
    torch.testing.assert_close(evaluate_graph(graph, (inputs(3),))[0], model(inputs(3)))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.max_pool2d(F.pad(x, (2, 2, 0, 0), value=-math.inf), 2),  # a window of nothing but padding
        lambda x: F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-math.inf), 2, dilation=2),
        lambda x: F.pad(x, (1, 1, 1, 1), value=-math.inf),
    ],
)
def test_padding_with_infinity_that_something_else_takes_is_refused(function: Callable[[Tensor], Tensor]) -> None:
    report = snnconv.preflight(nn.Sequential(Apply(function), nn.Conv2d(4, 2, 1)).double(), inputs(3))
    assert [problem.reason for problem in report.problems] == ["it pads with infinity"]
