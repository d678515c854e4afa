"""Arguments of forward that become constants of the network: where they may stand, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import snnconv
from coding import Rate
from snnconv import ConfigurationError, InputError, ModelError, UnsupportedModelError
from tests.support.graph_networks import (
    FEATURES,
    HIDDEN,
    LAYOUTS,
    NODES,
    Demanding,
    PlainGCN,
    X,
    adjacency,
)
from tests.support.networks import draw


@pytest.mark.parametrize("batch", [X, (X, adjacency()), (X, adjacency("coo"))], ids=["x", "x, adj", "x, sparse adj"])
def test_a_missing_argument_is_named_with_both_remedies(batch: Any) -> None:
    with pytest.raises(InputError, match=r"forward takes \(x, adj\).*'adj'.*\(\(a, b\), targets\).*constants="):
        snnconv.convert(Demanding(), batch)


def test_an_adjacency_among_the_inputs_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnsupportedModelError, match=r'multiplies two signals(.|\n)*constants=\{"adj": adj\}'):
        snnconv.convert(Demanding(), ((X, adjacency()), None))
    report = snnconv.preflight(Demanding(), ((X, adjacency()), None))
    assert not report.ok and 'constants={"adj": adj}' in report.problems[0].remedy
    with pytest.raises(InputError, match=r"input 1 is sparse.*constants="):
        snnconv.preflight(Demanding(), ((X, adjacency("coo")), None))
    assert snnconv.preflight(Demanding(), X, constants={"adj": adjacency("coo")}).ok


CONSTANTS: dict[str, tuple[Any, type[Exception], str]] = {
    "unknown": ({"graph": adjacency()}, ConfigurationError, "no argument 'graph'; it has x, adj"),
    "all": ({"adj": adjacency(), "x": X}, ConfigurationError, r"binds every argument of forward \(x, adj\)"),
    "no tensor": ({"adj": [[1.0]]}, ConfigurationError, "adj must be a tensor, got list"),
    "no mapping": ([adjacency()], ConfigurationError, "tensors by name"),
    "single precision": ({"adj": adjacency().float()}, ModelError, r"adj is torch\.float32"),
    "NaN": ({"adj": adjacency("coo") * torch.nan}, ModelError, "adj holds NaN"),
    "too small": ({"adj": adjacency()[:3, :3]}, InputError, "the model itself fails"),
    "three axes": ({"adj": torch.rand(2, 2, 2).double().to_sparse_coo()}, InputError, "the model itself fails"),
}


@pytest.mark.parametrize("kind", CONSTANTS)
def test_constants_are_checked(kind: str) -> None:
    constants, error, message = CONSTANTS[kind]
    for function in (snnconv.convert, snnconv.preflight):
        with pytest.raises(error, match=message):
            function(Demanding(), X, constants=constants)


def test_no_constants_are_no_constants() -> None:
    network = snnconv.convert(PlainGCN(torch.mm, adj=adjacency()), X, coding=Rate(4), constants={})
    assert list(network.graph.inputs) == ["x"]


def test_a_later_change_of_the_adjacency_changes_nothing() -> None:
    for adj in (adjacency(), adjacency("coo").coalesce()):
        network = snnconv.convert(PlainGCN(torch.mm), X, coding=Rate(4), constants={"adj": adj})
        before = network(X)
        (adj if adj.layout is torch.strided else adj.values()).zero_()
        assert torch.equal(network(X), before)


class Keyword(nn.Module):
    """The adjacency comes first, and an argument can only be named; names of weights are also those of operations."""

    def __init__(self) -> None:
        super().__init__()
        self.adj = nn.Parameter(draw(NODES, NODES))
        self.relu = nn.Parameter(draw(FEATURES, HIDDEN, seed=1))

    def forward(self, adj: Tensor, x: Tensor, *, gain: Tensor) -> Tensor:
        return torch.relu(adj @ (x @ self.relu) * gain + self.adj.sum(1, keepdim=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_constants_may_stand_anywhere_among_the_arguments(layout: str) -> None:
    model, gain = Keyword(), torch.tensor(2.0, dtype=torch.float64)
    network = snnconv.convert(model, X, coding=Rate(4), constants={"adj": adjacency(layout), "gain": gain})
    with torch.no_grad():
        assert torch.allclose(network.reference(X), model(adjacency(), X, gain=gain), rtol=1e-12)


def test_a_constant_leaves_the_batch_axis_free() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(FEATURES, HIDDEN, dtype=torch.float64)

        def forward(self, shift: Tensor, *inputs: Tensor) -> Tensor:
            return F.relu(self.linear(inputs[0]) + shift)

    network = snnconv.convert(Shifted(), draw(30, FEATURES), coding=Rate(4), constants={"shift": draw(HIDDEN)})
    assert network.batch_axis == 0 and network(draw(3, FEATURES)).shape == (3, HIDDEN)


class Picked(nn.Module):
    """A mask of the samples, from which every sample picks its own row."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.linear = nn.Embedding(7, HIDDEN), nn.Linear(HIDDEN, 3)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        places = torch.arange(ids.shape[0])
        kept = mask[places].bool()[:, :, None]
        result: Tensor = self.linear(F.relu(torch.where(kept, self.table(ids), 0.5)))
        return result


def test_a_mask_for_one_sample_is_that_of_every_sample() -> None:
    torch.manual_seed(0)
    model, ids = Picked().double(), torch.randint(7, (30, 4))
    mask = torch.tensor([[1, 1, 0, 1]])
    network = snnconv.convert(model, ids, coding=Rate(4), constants={"mask": mask})
    for samples in (1, 5):
        wanted = model(ids[:samples], mask.expand(samples, -1))
        torch.testing.assert_close(network.reference(ids[:samples]), wanted)


def test_constants_of_an_exported_program_are_named_too() -> None:
    program = torch.export.export(Demanding(), (X, adjacency("coo")))
    network = snnconv.convert(program, X, coding=Rate(4), constants={"adj": adjacency("coo")})
    with torch.no_grad():
        assert torch.allclose(network.reference(X), program.module()(X, adjacency()))
    with pytest.raises(ConfigurationError, match="it has x, adj"):
        snnconv.convert(program, X, constants={"graph": adjacency()})
