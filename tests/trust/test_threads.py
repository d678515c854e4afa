"""Threads: what the library does to a model is seen by nobody, and four threads get what one gets."""

from __future__ import annotations

import contextlib
import copy
import io
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import Concurrent, FewSpike, OneSpike, Rate
from neurons import DoubleExponential
from snnconv import SpikingNetwork, learning
from snnconv.capture.exporter_noise import quiet_exporter
from snnconv.detection import Detector, Preprocessing, RegionHead
from snnconv.tuning import ShiftAndFlip
from tests.support.watched import Watched, watched

THREADS = 4
X, LABELS = torch.rand(40, 6, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3


@pytest.fixture
def busy() -> Iterator[None]:
    """Threads take turns more often, as on a busy machine."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(work: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        return [future.result() for future in [pool.submit(work, number) for number in range(THREADS)]]


class Pictures(Watched):
    """The watched classifier as a detector of one box, for pictures of 2 by 1 pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1)).repeat(1, 2).view(-1, 6, 1, 1)


def detected(model: nn.Module) -> Any:
    head = RegionHead(((1.0, 1.0),), 1, 1)
    return Detector(model, (head,), Preprocessing((2, 1), False), ("thing",)).outputs(torch.rand(2, 3, 2, 1))


USES: dict[str, Callable[[nn.Module], Any]] = {
    "convert": lambda model: snnconv.convert(model, X, coding=FewSpike(4)),
    "convert, a pair": lambda model: snnconv.convert(model, (X, torch.rand(40, 3)), coding=FewSpike(4)),
    "preflight": lambda model: snnconv.preflight(model, X),
    "evaluate": lambda model: snnconv.evaluate(network(), (X, LABELS), reference=model),
    "sweep": lambda model: snnconv.sweep(model, X, (X, LABELS), {"few": FewSpike(4)}),
    "detect": detected,
}


@pytest.mark.parametrize("use", USES)
def test_a_model_is_never_run_nor_changed_not_even_for_a_moment(use: str) -> None:
    with watched(Pictures() if use == "detect" else Watched()) as model:
        USES[use](model)


def test_networks_are_not_changed_by_what_is_measured_or_made_of_them() -> None:
    given = network()
    before = {name: (tensor._version, tensor.data_ptr()) for name, tensor in given.state_dict(keep_vars=True).items()}
    before.pop("_extra_state")
    snnconv.evaluate(given, (X, LABELS))
    snnconv.verify(given)
    snnconv.tune(given, X, epochs=1)
    after = {name: (tensor._version, tensor.data_ptr()) for name, tensor in given.named_buffers()}
    assert after == before and not given.training


def test_a_model_that_is_trained_meanwhile_stays_in_training_after_an_error() -> None:
    with watched(Watched()) as model, pytest.raises(snnconv.InputError):
        snnconv.convert(model, torch.rand(40, 5))


@cache
def network() -> SpikingNetwork:
    torch.manual_seed(0)
    return snnconv.convert(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), X, coding=OneSpike(8))


@cache
def stream() -> SpikingNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    return snnconv.convert(model, X, coding=Rate(8), schedule=Concurrent(8), input="poisson")


@cache
def pictures() -> SpikingNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    return snnconv.convert(model, torch.rand(40, 1, 4, 4), coding=OneSpike(4))


def test_four_threads_convert_one_model(busy: None) -> None:
    model = Watched()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    wanted = snnconv.convert(model, X, coding=FewSpike(4))(X)
    with watched(model):
        found = together(lambda number: snnconv.convert(model, X, coding=FewSpike(4)))
    assert all(torch.equal(each(X), wanted) and each.batch_axis == 0 for each in found)
    assert torch.equal(torch.get_rng_state(), state)


@cache
def layers() -> learning.LayeredNetwork:
    torch.manual_seed(0)
    return learning.LayeredNetwork([6, 3], neuron=DoubleExponential(0.95, 0.95), weight_offset=3.0)


def learned(number: int) -> Tensor:
    layered = copy.deepcopy(layers())
    encoder = learning.LatencyEncoder(steps=8, last=4)
    learning.train(layered, learning.EncodedSamples(X, LABELS, encoder), epochs=1, seed=number)
    return layered.layers[0].weight.detach()


def tuned(number: int) -> Tensor:
    samples = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(3))
    found = snnconv.tune(pictures(), samples, epochs=1, batch=20, augmentation=ShiftAndFlip(shift=1), seed=number)
    return torch.tensor(found.tuning_log.losses)  # type: ignore[union-attr]


SHARED: dict[str, Callable[[int], Tensor]] = {
    "call": lambda number: network()(X[: 1 + number]),
    "run, window": lambda number: network().run(X, record=["rasters"]).rasters["1"],
    "run, clock": lambda number: network().run(X, record=["rasters"], simulator="clock").rasters["1"],
    "run, stream": lambda number: stream().run(X, record=["rasters"], seed=number).rasters["1"],
    "evaluate": lambda number: torch.tensor(snnconv.evaluate(network(), (X, LABELS)).activity.spikes),
    "verify": lambda number: torch.tensor(hash(str(snnconv.verify(network())))),
    "statistics": lambda number: torch.tensor(hash(str(snnconv.spike_statistics(network(), X)))),
    "tune": tuned,
    "learn": learned,
}


@pytest.mark.parametrize("work", SHARED)
def test_four_threads_get_what_one_gets(work: str, busy: None) -> None:
    alone = [SHARED[work](number) for number in range(THREADS)]
    assert all(map(torch.equal, together(SHARED[work]), alone))


def test_four_threads_save_and_load(tmp_path: Path, busy: None) -> None:
    def work(number: int) -> Tensor:
        network().save(tmp_path / f"{number}.snn")
        network().save(tmp_path / "shared.snn")
        assert torch.equal(snnconv.load(tmp_path / "shared.snn")(X), network()(X))
        return snnconv.load(tmp_path / f"{number}.snn")(X)

    assert all(torch.equal(found, network()(X)) for found in together(work))


def test_other_threads_are_heard_during_an_export(capsys: pytest.CaptureFixture[str]) -> None:
    class Speaking(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(print, "heard", file=sys.stderr).result()
            return torch.relu(x)

    snnconv.preflight(Speaking(), X)
    assert capsys.readouterr().err.count("heard") > 2  # in every run, those inside the exporter included


def test_whoever_redirects_during_an_export_silences_nobody_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stderr
    elsewhere = contextlib.redirect_stderr(io.StringIO())  # another thread's, which ends later
    with quiet_exporter():
        elsewhere.__enter__()
    elsewhere.__exit__(None, None, None)
    print("heard", file=sys.stderr)
    sys.stderr = before
    assert capsys.readouterr().err == "heard\n"
