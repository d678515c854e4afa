"""Sweeps and verifications are the same to the last bit, whoever measures, and keep what was measured."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import snnconv
from coding import Concurrent, FewSpike, Rate
from snnconv.errors import ConfigurationError, WorkerError
from tests.snnconv.metrics.test_merging import data, network_of
from tests.support.networks import make

CODINGS: dict[str, Any] = {f"rate {steps}": Rate(steps) for steps in (3, 4, 5)}
CODINGS |= {"few 4": FewSpike(4), "few 6": FewSpike(6), "cannot be": "auto", "unknown": "none"}


def arguments() -> tuple[Any, Any, Any]:
    model, x = make("deep", samples=60, dtype=torch.float32)
    targets = torch.randint(4, (len(x),), generator=torch.Generator().manual_seed(0))
    return model, x[:30], (x[30:], targets[30:])


def test_sweeps_of_workers_are_those_of_one_process(tmp_path: Path, pool: snnconv.Workers) -> None:
    one = snnconv.sweep(*arguments(), CODINGS)
    assert snnconv.sweep(*arguments(), CODINGS, executor=pool, path=tmp_path / "sweep.json") == one
    stored = snnconv.Sweep.load(tmp_path / "sweep.json")
    assert {each.label: each for each in stored.results} == {each.label: each for each in one.results}
    assert len(one.results) == 5 and len(one.failures) == 2


def test_streams_and_loaders_too(pool: snnconv.Workers) -> None:
    model, calibration, (x, targets) = arguments()
    loader = DataLoader(TensorDataset(x, targets), batch_size=7)
    options: dict[str, Any] = {"schedule": Concurrent(6), "input": "poisson"}
    codings = {"3": Rate(3), "6": Rate(6)}
    found = snnconv.sweep(model, calibration, loader, codings, executor=pool, **options)
    assert found == snnconv.sweep(model, calibration, (x, targets), codings, **options)


class Counted(nn.Module):
    """A model that adds a letter to a file for every batch that it is asked for, in whatever process."""

    def __init__(self, model: nn.Module, file: Path) -> None:
        super().__init__()
        self.model, self.file = model, file

    def forward(self, x: Tensor) -> Any:
        with self.file.open("a") as file:
            file.write("x")
        return self.model(x)


def test_workers_ask_the_original_once_for_every_batch(tmp_path: Path, pool: snnconv.Workers) -> None:
    """And once more for the first, whose targets are checked before anything is measured."""
    model, calibration, (x, targets) = arguments()
    batches = [(x[start : start + 10], targets[start : start + 10]) for start in range(0, 30, 10)]
    reference = Counted(model, tmp_path / "asked")
    found = snnconv.sweep(model, calibration, batches, CODINGS, reference=reference, executor=pool)
    assert (tmp_path / "asked").read_text() == "x" * 4
    assert found == snnconv.sweep(model, calibration, batches, CODINGS)


class Fatal:
    """Data that end the worker which reads them a second time."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __iter__(self) -> Any:
        if self.file.exists():
            self.file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        yield arguments()[2]


def test_a_killed_worker_loses_its_row_alone_and_the_next_sweep_goes_on(tmp_path: Path, pool: snnconv.Workers) -> None:
    model, calibration, _ = arguments()
    codings, path, told = {name: CODINGS[name] for name in list(CODINGS)[:5]}, tmp_path / "sweep.json", []

    def arm(found: snnconv.Progress) -> None:
        if found.what == "sweeping":
            told.append(found.done)
            if found.done == 1:
                (tmp_path / "armed").touch()

    found: dict[str, Any] = {"path": path, "executor": pool}
    with pytest.raises(WorkerError, match="was killed by SIGKILL"):
        snnconv.sweep(model, calibration, Fatal(tmp_path / "armed"), codings, progress=arm, **found)
    kept = len(snnconv.Sweep.load(path).results)
    assert 1 <= kept == told[-1] < len(codings)
    again: list[int] = []
    whole = snnconv.sweep(
        model, calibration, Fatal(tmp_path / "armed"), codings, progress=lambda p: again.append(p.done), **found
    )
    assert whole == snnconv.sweep(*arguments(), codings)


def test_data_that_cannot_be_sent(pool: snnconv.Workers) -> None:
    model, calibration, (x, targets) = arguments()

    class Locked:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __iter__(self) -> Any:
            yield x, targets

    with pytest.raises(
        ConfigurationError, match=r"the data set, the model or an option cannot be sent to workers: .*lock"
    ):
        snnconv.sweep(model, calibration, Locked(), CODINGS, executor=pool)


@pytest.mark.parametrize("name", ["rate, spiking input", "few-spike, pipeline"])
def test_verifications_of_workers_are_those_of_one_process(name: str, pool: snnconv.Workers) -> None:
    network, (x, _) = network_of(name), data()
    parts = [x[start : start + 9] for start in range(0, len(x), 9)]
    assert snnconv.verify(network, parts, executor=pool) == snnconv.verify(network, parts)
    assert snnconv.verify(network, executor=pool) == snnconv.verify(network)
