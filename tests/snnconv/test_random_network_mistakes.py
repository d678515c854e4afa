"""The promises of random networks can be broken: a mistake for each, where such mistakes are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import coding.window.closed_form
import snnconv.simulators.window
import snnconv.storage.saving
from coding import FewSpike
from coding.window.closed_form import levels_of
from snnconv.graph.operators.affine import Convolution, MatrixProduct
from tests.support.random_networks.promises import PROMISES, Specimen
from tests.support.random_networks.script import Script, Signal, Statement

SCRIPT = Script(
    (Signal("x", (2, 5)),),
    (
        Statement("conv1d", Signal("v1", (4, 4)), "{own}({0})", ("x",), "part1", "nn.Conv1d(2, 4, 2, groups=2)"),
        Statement("batch_norm", Signal("v2", (4, 4)), "{own}({0})", ("v1",), "part2", "nn.BatchNorm1d(4)"),
        Statement("relu", Signal("v3", (4, 4)), "torch.relu({0})", ("v2",)),
        Statement("matmul", Signal("v4", (3, 4)), "{own} @ {0}", ("v3",), "part4", "nn.Parameter(torch.rand(3, 4))"),
    ),
    ("v4",),
)


@pytest.fixture
def specimen() -> Iterator[Specimen]:
    levels_of.cache_clear()  # tables that a mistake has shaped must not outlive it
    yield Specimen(SCRIPT, FewSpike(7, 1.4, 2))
    levels_of.cache_clear()


def wrong_root(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """Batch normalisation is folded as if it multiplied by the deviation."""
    patch.setattr(torch, "rsqrt", torch.sqrt)


def centred_batch(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """What the samples of a batch have in common is taken off their currents."""
    decode = snnconv.simulators.window.decode

    def centred(population: Any, current: Tensor) -> Tensor:
        return decode(population, current - current.mean(0))

    assert specimen.network  # a conversion would notice
    patch.setattr(snnconv.simulators.window, "decode", centred)


def wide_tie(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """The closed form takes what falls short of a threshold by a tenth for what reaches it."""
    patch.setattr(coding.window.closed_form, "tie_tolerance", lambda dtype: 0.1)


def half_precision(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """Files hold weights in half precision."""
    tensors_of = snnconv.storage.saving.tensors_of

    def rounded(network: Any) -> dict[str, Tensor]:
        return {name: tensor.half().to(tensor.dtype) for name, tensor in tensors_of(network).items()}

    patch.setattr(snnconv.storage.saving, "tensors_of", rounded)


def forgotten_groups(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """Every channel of a grouped convolution is taken to reach all groups."""
    reach = Convolution.reach
    patch.setattr(Convolution, "reach", lambda self, arguments: reach(self, {**arguments, "groups": 1}))


def paths_counted_twice(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """Both halves of a complex product are counted."""
    paths = MatrixProduct.paths
    patch.setattr(MatrixProduct, "paths", lambda self, arguments, carries: 2 * paths(self, arguments, carries))


def forgotten_kernel(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """One multiplication is counted for an output of a convolution."""
    patch.setattr(Convolution, "macs", lambda self, arguments, carries, result: result.numel())


Mistake = Callable[[pytest.MonkeyPatch, Specimen], None]
MISTAKES: list[tuple[str, Mistake]] = [
    ("the graph is the model", wrong_root),
    ("samples stay apart", centred_batch),
    ("the simulators agree", wide_tie),
    ("files keep the network", half_precision),
    ("fan-out is the Jacobian", forgotten_groups),
    ("fan-out is the Jacobian", paths_counted_twice),
    ("MACs are those of torch", forgotten_kernel),
]


def test_every_promise_is_kept_where_there_is_no_mistake_and_has_one_that_breaks_it(specimen: Specimen) -> None:
    for promise in PROMISES.values():
        promise(specimen)
    assert {name for name, _ in MISTAKES} == PROMISES.keys()


@pytest.mark.parametrize(("promise", "mistake"), MISTAKES)
def test_a_mistake_breaks_its_promise(
    promise: str, mistake: Mistake, specimen: Specimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch, specimen)
    with pytest.raises(AssertionError):
        PROMISES[promise](specimen)
