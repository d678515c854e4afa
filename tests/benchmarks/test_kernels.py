"""The check of a device's kernels: it compares every one with torch, and fails where one has other bits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks import kernels, timing
from snnconv.kernels import backends
from tests.support.computing import computed_by, device_of, needs_triton

Rows = Sequence[Sequence[Any]]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Rows]:
    """Tables that were published, of small maps, each timed once."""
    found: list[Rows] = []
    monkeypatch.setattr(kernels, "SHAPE", (8, 4, 6, 6))
    monkeypatch.setattr(kernels, "ROUNDS", 1)
    monkeypatch.setattr(timing, "LEAST_SECONDS", 1e-6)
    monkeypatch.setattr(timing, "_fixed_work", lambda: lambda: None)
    monkeypatch.setattr(kernels, "publish", lambda name, title, head, rows: found.append(rows))
    return found


def test_every_kernel_is_compared_with_torch_and_one_with_other_bits_fails(
    published: list[Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels.run()
    assert {row[3] for row in published[0]} == {"yes"} and {row[1] for row in published[0]} == {"float32", "float64"}
    calls, works = count(), kernels._works

    def other_each_time(signal: Tensor, divisor: Tensor) -> Tensor:
        return signal + next(calls)

    monkeypatch.setattr(kernels, "ratio", other_each_time)
    monkeypatch.setattr(kernels, "_works", lambda *given: {name: works(*given)[name] for name in ("window", "ratio")})
    with pytest.raises(SystemExit, match=r"ratio \(torch.float32\), ratio \(torch.float64\)$"):
        kernels.run()
    assert {row[0] for row in published[1] if row[3] == "NO"} == {"ratio"}


@needs_triton
def test_a_kernel_that_triton_leaves_to_torch_fails(
    published: list[Rows], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from snnconv.kernels import ratios_triton

    works = kernels._works
    monkeypatch.setattr(kernels, "_works", lambda *given: {"ratio": works(*given)["ratio"]})
    monkeypatch.setattr(ratios_triton, "divide", None)
    backends._launch.cache_clear()
    try:
        with computed_by("triton"), pytest.raises(SystemExit, match=r"compared with itself: ratio \(torch.float32\)"):
            kernels.run(str(device_of("triton")))
    finally:
        backends._launch.cache_clear()
    assert [row[2:4] for row in published[0]] == [["torch", "yes"]] * 2 and len(caplog.records) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_absent_is_named(published: list[Rows]) -> None:
    with pytest.raises(SystemExit, match="no GPU"):
        kernels.run("cuda")
    assert not published
