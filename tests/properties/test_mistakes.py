"""The properties of random networks can be broken: a mistake for each, where such mistakes are made."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from string import Template
from typing import Any

import pytest
import torch
from torch import Tensor

import coding.window.closed_form
import hw_export.c.synapses
import snnconv.calibration.samples
import snnconv.storage.saving
import tests.properties.integers
from coding import FewSpike, Phase, Rate
from coding.window.closed_form import WindowTable, levels_of
from coding.window.window_code import bounds_of
from hw_export.integers.simulation import integer_simulation
from snnconv.capture.capturing import Captured
from snnconv.graph.operators.affine import Convolution, MatrixProduct
from snnconv.kernels.settled_windows import Windows
from snnconv.metrics.totals import Totals
from snnconv.simulators.recorders import SpikeCounter
from tests.properties.checking import check
from tests.properties.registry import PROPERTIES
from tests.support.random_networks.codings import Setting
from tests.support.random_networks.script import Script, Signal, Statement
from tests.support.random_networks.specimen import Specimen

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
#: A population behind another whose values lie on its levels, in a sum that a clock takes step by step.
IDENTITY = Script(
    (Signal("x", (6,)),),
    (
        Statement("linear", Signal("v1", (16,)), "{own}({0})", ("x",), "part1", "nn.Linear(6, 16)"),
        Statement("relu", Signal("v2", (16,)), "torch.relu({0})", ("v1",)),
        Statement("relu", Signal("v3", (16,)), "torch.relu({0})", ("v2",)),
    ),
    ("v3",),
)


@functools.cache
def captured(script: Script) -> Captured:
    """The graph of ``script``, which takes longer than all the rest."""
    return Specimen(script).calibrator.captured


def specimen_of(script: Script, setting: Setting) -> Specimen:
    found = Specimen(script, setting)
    found.calibrator.captured = captured(script)
    return found


@pytest.fixture
def specimen() -> Iterator[Specimen]:
    forget()
    yield specimen_of(SCRIPT, Setting(FewSpike(7, 1.4, 2)))
    forget()


def forget() -> None:
    """Tables that a mistake has shaped must not outlive it."""
    levels_of.clear()
    bounds_of.cache_clear()


def wrong_root(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """Batch normalisation is folded as if it multiplied by the deviation."""
    del specimen.calibrator
    patch.setattr(torch, "rsqrt", torch.sqrt)


def centred_batch(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """What the samples of a batch have in common is taken off their currents."""
    decode = Windows.decode

    def centred(windows: Windows, current: Tensor, own: bool = False) -> Tensor:
        return decode(windows, current - current.mean(0), own)

    assert specimen.network  # a conversion would notice
    patch.setattr(Windows, "decode", centred)


def wide_tie(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """The closed form takes what falls short of a threshold by a tenth for what reaches it."""
    patch.setattr(coding.window.closed_form, "tie_tolerance", lambda dtype: 0.1)


def relative_tie(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """The slack of a threshold shrinks with it, while values lie on thresholds and sums are rounded."""
    vars(specimen).update(vars(specimen_of(IDENTITY, Setting(Phase(12), percentile=100.0))))

    def shrinking(table: WindowTable, tolerance: float) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(threshold * (1.0 - tolerance) for threshold in row) for row in table.thresholds)

    patch.setattr(WindowTable, "bounds", shrinking)


def dropped_count(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """A spike of every population is not counted."""
    spikes = SpikeCounter.spikes
    patch.setattr(SpikeCounter, "spikes", lambda self: {name: count - 1 for name, count in spikes(self).items()})


def lost_shard(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """Merged totals are those of one part."""
    patch.setattr(Totals, "merge", lambda self, other: self)


def arrival_order(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """Samples are held out by their place among those that came, not by what they are."""
    vars(specimen).update(vars(specimen_of(IDENTITY, specimen.setting)))
    places = itertools.count()
    patch.setattr(snnconv.calibration.samples, "_digest", lambda sample: next(places).to_bytes(4, "big"))


def off_by_one(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """Payloads of the integer simulation are scaled by one part in a thousand too much."""
    simulation = integer_simulation

    def scaled(integers: Any) -> Any:
        network = simulation(integers)
        for population in network.populations.values():
            population.scale.mul_(1.001)
        return network

    patch.setattr(tests.properties.integers, "integer_simulation", scaled)


def mirrored_kernel(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """Spikes of a program in C reach the targets on their other side."""
    text = hw_export.c.synapses._CONVOLUTION.template.replace("column - tap_column", "column + tap_column")
    patch.setattr(hw_export.c.synapses, "_CONVOLUTION", Template(text))


def few_levels(patch: pytest.MonkeyPatch, specimen: Specimen) -> None:
    """Windows of rate code hold eight different counts however long they are."""
    for name in ("quantize", "tabulated"):
        found = getattr(Rate, name)
        patch.setattr(Rate, name, lambda self, *given, found=found: found(Rate(min(8, self.steps)), *given))


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
    ("the simulators agree", relative_tie),
    ("counts are sums of rasters", dropped_count),
    ("files keep the network", half_precision),
    ("calibration has no order", arrival_order),
    ("integers are simulated exactly", off_by_one),
    ("programs in C fire as integers do", mirrored_kernel),
    ("shards merge to the whole", lost_shard),
    ("rate code converges", few_levels),
    ("fan-out is the Jacobian", forgotten_groups),
    ("fan-out is the Jacobian", paths_counted_twice),
    ("MACs are those of torch", forgotten_kernel),
]


def test_every_property_holds_where_there_is_no_mistake_and_has_one_that_breaks_it(specimen: Specimen) -> None:
    assert set(check(specimen)) == {name for name, _ in MISTAKES} == PROPERTIES.keys()


@pytest.mark.parametrize(("name", "mistake"), MISTAKES, ids=lambda each: getattr(each, "__name__", None))
def test_a_mistake_breaks_its_property(
    name: str, mistake: Mistake, specimen: Specimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch, specimen)
    with pytest.raises(AssertionError):
        PROPERTIES[name].check(specimen)
