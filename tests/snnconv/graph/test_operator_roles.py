"""Roles of operations that are not affine, and those that are refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coding import Rate
from snnconv import UnsupportedModelError, convert
from snnconv.capture.translation import capture
from snnconv.graph.operators import Classification, Role
from snnconv.graph.operators.roles import classifications, classify
from tests.support.operators import Apply

NOT_AFFINE: dict[str, tuple[Callable[[Tensor], Tensor], str, Role]] = {
    "quotient of two signals": (lambda x: x / (x + 9), "div", Role.READOUT),
    "division that rounds": (lambda x: torch.div(x, 2.0, rounding_mode="floor"), "div", Role.READOUT),
    "weights from data": (lambda x: F.conv1d(x, x[:1, :, :1]), "conv1d", Role.READOUT),
    "padding with infinity": (lambda x: F.pad(x, (1, 1), value=-math.inf), "pad", Role.REFUSED),
    "sum over all": (lambda x: x.sum(), "sum", Role.REFUSED),
    "mean over all": (lambda x: x.mean(), "mean", Role.REFUSED),
    "maximum over the batch": (lambda x: torch.amax(x, 0), "amax", Role.REFUSED),
    "threshold with a jump": (lambda x: F.threshold(x, 0.5, 0.0), "threshold", Role.READOUT),
    "clamp the wrong way": (lambda x: x.clamp(2.0, 1.0), "clamp", Role.REFUSED),
}
OVER_THE_BATCH: dict[str, Callable[[Tensor], Tensor]] = {
    "mean over the batch": lambda x: x - x.mean(dim=0, keepdim=True),
    "mean over the batch and an axis": lambda x: x - x.mean(dim=(0, 1), keepdim=True),
    "sum over the batch": lambda x: x + x.sum(dim=0),
    "samples in another order": lambda x: x.flip(0),
    "samples shifted": lambda x: x + x.roll(1, 0),
    "one sample added to all": lambda x: x + x[:1],
    "divided by the number of samples": lambda x: x / x.shape[0],
    "places in the batch": lambda x: x + torch.arange(x.shape[0]).view(-1, 1, 1),
    "maximum over the batch counted from the end": lambda x: x - torch.amax(x, -3, keepdim=True),
}


@pytest.mark.parametrize("name", NOT_AFFINE)
def test_on_other_arguments_the_same_operator_is_not_affine(name: str) -> None:
    function, op, role = NOT_AFFINE[name]
    graph = capture(Apply(function), (torch.randn(3, 4, 4),))
    signals = graph.signals()
    (found,) = [classify(node, signals) for node in graph.nodes.values() if node.op == op]
    assert found.role is role
    assert found.reason and found.remedy


PRODUCTS: dict[str, Callable[[Tensor], Tensor]] = {
    "by elements": lambda x: x * x.flip(-1),
    "of matrices": lambda x: x @ x.transpose(-1, -2),
    "of batched matrices": lambda x: torch.bmm(x, x),
    "by einsum": lambda x: torch.einsum("nab,ncb->nac", x, x),
    "with weights of the input": lambda x: F.linear(x, x.sum((0, 1)).expand(3, -1), x[0, 0, :3]),
    "scaled and added": lambda x: torch.addcmul(x, x, x.flip(1), value=0.5),
    "with a matrix added": lambda x: torch.baddbmm(x, x, x, alpha=0.5),
}


def of_two_signals(function: Callable[[Tensor], Tensor], behind: nn.Module) -> list[Classification]:
    graph = capture(nn.Sequential(nn.ReLU(), Apply(function), behind), (torch.randn(3, 4, 4),))
    found = classifications(graph, graph.signals())
    others = (Role.LINEAR, Role.SELECTION, Role.ACTIVATION, Role.CONSTANT)
    return [each for each in found.values() if each.role not in others]


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_of_two_signals_in_front_of_weights_is_converted(name: str) -> None:
    width = 3 if name == "with weights of the input" else 4
    assert [each.role for each in of_two_signals(PRODUCTS[name], nn.Linear(width, 2))] == [Role.PRODUCT]


@pytest.mark.parametrize("name", ["by elements", "of matrices"])
def test_a_product_of_the_output_or_of_a_readout_is_a_readout(name: str) -> None:
    (of_output,) = of_two_signals(PRODUCTS[name], nn.Identity())
    _, of_readout = of_two_signals(lambda x: PRODUCTS[name](torch.tanh(x)), nn.Linear(4, 2))
    for found, reason in ((of_output, "behind the last weights"), (of_readout, "one of which is no spikes")):
        assert found.role is Role.READOUT and reason in found.reason and found.remedy


@pytest.mark.parametrize("name", OVER_THE_BATCH)
def test_what_mixes_the_samples_of_a_batch_is_refused(name: str) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Apply(OVER_THE_BATCH[name]))
    with pytest.raises(UnsupportedModelError):
        convert(model, torch.rand(5, 4, 4), coding=Rate(2))


def test_normalisation_by_the_statistics_of_the_batch_is_refused() -> None:
    graph = capture(nn.BatchNorm2d(3, track_running_stats=False), (torch.randn(3, 3, 4, 4),))
    signals = graph.signals()
    found = [classify(node, signals) for node in graph.nodes.values() if "batch_norm" in node.op]
    assert [one.role for one in found] == [Role.REFUSED]
    assert "running statistics" in found[0].remedy
