"""A pair is (inputs, targets) wherever samples are given; a tensor that forward would take is never dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import snnconv
from coding import Rate
from snnconv.errors import InputError

GENERATOR = torch.Generator().manual_seed(0)
X, CONTEXT = torch.rand(20, 4, generator=GENERATOR), torch.rand(20, 3, generator=GENERATOR)
LABELS = torch.arange(20) % 2


class Optional(nn.Module):
    """A network with a second input that may be left out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.side, self.last = nn.Linear(4, 8), nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        hidden = self.first(x)
        return self.last(torch.relu(hidden if context is None else hidden + self.side(context)))


class Needed(Optional):
    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return super().forward(x, context)


class WithLoss(nn.Module):
    """A network that would compute its loss, given targets."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
        output = self.layers(x)
        return output if labels is None else (nn.functional.mse_loss(output, labels), output)


PAIRS: dict[str, Callable[[], Any]] = {
    "pair": lambda: (X, CONTEXT),
    "list of pairs": lambda: [(X, CONTEXT)],
    "loader": lambda: DataLoader(TensorDataset(X, CONTEXT), batch_size=5),
}


@pytest.mark.parametrize("function", [snnconv.convert, snnconv.preflight])
@pytest.mark.parametrize("kind", PAIRS)
def test_a_second_tensor_that_forward_would_take_is_named(kind: str, function: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"takes context too(.|\n)*\(\(x, context\), None\)(.|\n)*leave them out"):
        function(Optional(), PAIRS[kind]())
    with pytest.raises(InputError, match=r"missing a required argument: 'context'(.|\n)*\(\(a, b\), None\) for a, b"):
        function(Needed(), PAIRS[kind]())


def test_targets_of_a_loss_in_forward_are_told_apart_by_leaving_them_out() -> None:
    with pytest.raises(InputError, match="takes labels too"):
        snnconv.convert(WithLoss(), (X, CONTEXT))
    assert snnconv.convert(WithLoss(), (x for x, _ in [(X, CONTEXT)]), coding=Rate(4)).input_shapes == (("batch", 4),)


def test_targets_that_forward_cannot_take_or_does_not_use_stay_targets() -> None:
    class Unused(Optional):
        def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            return super().forward(x)

    for model, targets in ((Optional(), LABELS), (Optional(), X), (Unused(), CONTEXT), (Optional(), None)):
        assert len(snnconv.convert(model, (X, targets), coding=Rate(4)).input_shapes) == 1
        assert snnconv.preflight(model, (X, targets)).ok


def test_two_inputs_are_said_one_way() -> None:
    batch = ((X, CONTEXT), LABELS)
    for model in (Optional(), Needed()):
        assert snnconv.preflight(model, batch).ok and snnconv.preflight(model, [batch]).ok
        network = snnconv.convert(model, batch)
        assert len(network.input_shapes) == 2
        assert snnconv.evaluate(network, [batch]).samples == 20
        for function in (snnconv.evaluate, snnconv.tune):
            with pytest.raises(InputError, match=r"takes 2 inputs, got 1; several inputs(.|\n)*loader"):
                function(network, [(X, CONTEXT)])
