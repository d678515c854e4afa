"""Named axes: what they leave free, and what they tie together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.export import Dim

import snnconv
from coding import FewSpike
from snnconv.capture.translation import capture
from snnconv.data.shapes import BATCH, check_shapes, concrete
from snnconv.errors import InputError

WANTED = ((BATCH, 3, "height"), (BATCH, "height"))


def test_named_axes_take_their_sizes_and_others_stay() -> None:
    assert concrete((BATCH, 3, "height"), {BATCH: 2, "height": 7}) == (2, 3, 7)


@pytest.mark.parametrize("found", [((1, 3, 5), (1, 5)), ((9, 3, 1), (9, 1))])
def test_a_name_stands_for_any_size(found: Sequence[Sequence[int]]) -> None:
    check_shapes(found, WANTED, "input")


CURE = "snnconv.resized makes a network for another size"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (((2, 4, 5), (2, 5)), f"input: input 0 has shape [2, 4, 5], the network takes ['batch', 3, 'height']; {CURE}"),
        (((2, 3, 5, 1), (2, 5)), "input: input 0 has shape [2, 3, 5, 1], the network takes ['batch', 3, 'height']"),
        (((2, 3, 5), (3, 5)), "input: input 1 has shape [3, 5], but its axis 'batch' has the size 2 in input 0"),
        (((2, 3, 5), (2, 6)), "input: input 1 has shape [2, 6], but its axis 'height' has the size 5 in input 0"),
    ],
)
def test_a_size_that_does_not_fit_is_named(found: Sequence[Sequence[int]], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        check_shapes(found, WANTED, "input")


class LinearOfRows(nn.Module):
    """A linear layer over the last axis, for pictures of any height."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).relu().sum(1)


def test_an_axis_that_an_exported_program_leaves_free_has_a_name_and_a_saved_network_the_size_of_its_samples(
    tmp_path: Path,
) -> None:
    x = torch.rand(16, 5, 4, generator=torch.Generator().manual_seed(0))
    program = torch.export.export(LinearOfRows().eval(), (x,), dynamic_shapes=({0: Dim("samples"), 1: Dim("height")},))
    (shape,) = capture(program, (x,)).inputs.values()
    assert shape[0] == BATCH and isinstance(shape[1], str) and shape[1] != BATCH and shape[2] == 4
    network = snnconv.convert(program, x, coding=FewSpike(4))
    assert network.input_shapes == ((BATCH, 5, 4),)
    network.save(tmp_path / "rows.snn")
    assert torch.equal(snnconv.load(tmp_path / "rows.snn")(x[:3]), network(x[:3]))
    with pytest.raises(InputError, match=r"the network takes \['batch', 5, 4\]"):
        network(torch.rand(2, 6, 4))
