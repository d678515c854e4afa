"""Samples that do not fit the memory calibrate as those that do, and evaluations of many hold few of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import FewSpike
from snnconv.calibration import observing
from snnconv.calibration.samples import arrange, collect
from snnconv.calibration.stored_samples import StoredChunks, StoredParts
from snnconv.scaling.spreading import Spreading


def batches(count: int, size: int = 20, seed: int = 0) -> Iterator[Tensor]:
    """Pictures that are drawn as they are asked for."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count // size):
        yield torch.rand(size, 3, 8, 8, generator=generator)


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5)).eval()


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnconv.calibration.samples._MOST_BYTES", 2**17)


def test_stored_samples_are_those_in_memory(monkeypatch: pytest.MonkeyPatch, little_memory: None) -> None:
    stored = arrange(collect(batches(400))[0], 0)
    monkeypatch.setattr("snnconv.calibration.samples._MOST_BYTES", 2**30)
    held = arrange(collect(batches(400))[0], 0)
    assert isinstance(stored.fitted, StoredChunks) and isinstance(held.fitted, tuple)
    assert len(stored.fitted) == len(held.fitted)
    for one, other in zip(stored.fitted, held.fitted, strict=True):
        assert torch.equal(one[0], other[0])
    kept, whole = (torch.cat([chunk[0] for chunk in each.held_out]) for each in (stored, held))
    assert 32 <= len(kept) < len(whole) == 80 and torch.equal(kept, whole[: len(kept)])


def test_they_make_the_same_network(monkeypatch: pytest.MonkeyPatch, little_memory: None) -> None:
    stored = snnconv.convert(small(), batches(400), coding=FewSpike(4))
    monkeypatch.setattr("snnconv.calibration.samples._MOST_BYTES", 2**30)
    held = snnconv.convert(small(), batches(400), coding=FewSpike(4))
    one, other = stored.state_dict(), held.state_dict()
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_sweep_of_workers_takes_stored_samples(little_memory: None) -> None:
    data, codings = next(batches(20, seed=1)), {"4": FewSpike(4), "5": FewSpike(5)}
    one = snnconv.sweep(small(), batches(400), data, codings)
    with snnconv.Workers(1) as pool:
        assert snnconv.sweep(small(), batches(400), data, codings, executor=pool) == one


def test_what_travels_to_workers_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks, spread = [(torch.zeros(32, 3, 8, 8),)] * 40, Spreading(ThreadPoolExecutor(1), 1, 1)
    assert [len(group) for group in observing._groups(chunks, spread)] == [20, 20]
    monkeypatch.setattr(observing, "_MOST_BYTES", 5 * chunks[0][0].nbytes)
    assert [len(group) for group in observing._groups(chunks, spread)] == [5] * 8


@pytest.mark.parametrize("work", ["calibrate", "evaluate"])
def test_memory_does_not_grow_with_the_pictures(
    work: str, little_memory: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most that is held beside one thousand pictures, and ten thousand: 9,000 of them are 6.6 MiB."""
    read = StoredParts._read

    def seen(*given: Any) -> Tensor:
        kept.append(resident())
        return read(*given)

    monkeypatch.setattr(StoredParts, "_read", seen)
    network = snnconv.convert(small(), next(batches(200, 200)), coding=FewSpike(4))

    def most(count: int) -> int:
        kept.clear()
        if work == "calibrate":
            snnconv.convert(small(), watched(batches(count)), coding=FewSpike(4))
        else:
            snnconv.evaluate(network, watched(batches(count)))
        return max(*kept, resident())

    kept: list[int] = []

    def watched(source: Iterator[Tensor]) -> Iterator[Tensor]:
        for each in source:
            kept.append(resident())
            yield each

    most(1000)
    assert most(10_000) - most(1000) < 3 * 2**20


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
