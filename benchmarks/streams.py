"""Memory beside a stream of pictures that fits no memory: calibration and evaluation hold as much of many as of few."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import snnconv
from benchmarks.results import note, publish
from coding import FewSpike

#: Pictures of so many channels, rows and columns, in batches of so many, of which calibration keeps no more than fit.
SHAPE, BATCH = (3, 64, 64), 100
#: A tenth of the pictures that are streamed is what growth is measured from.
IMAGES, PART = 100_000, 10
HEAD = ("work", "pictures", "GB streamed", "seconds", "MiB held at most, beside the start", "for a tenth of them")


def run(images: int | None = None) -> None:
    """Publish the table ``streams``: the most memory that is held while so many ``images`` (100,000) are streamed."""
    many, table = images or IMAGES, []
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(16 * 7 * 7, 10)),
    )
    network = snnconv.convert(model, next(_pictures(BATCH)), coding=FewSpike(4))
    works: dict[str, Callable[[Iterator[Tensor]], Any]] = {
        "calibration": lambda pictures: snnconv.convert(model, pictures, coding=FewSpike(4)),
        "evaluation": lambda pictures: snnconv.evaluate(network, pictures),
    }
    for name, work in works.items():
        work(_pictures(many // PART))  # what is prepared once is no growth
        few = _most(work, many // PART)
        start = time.perf_counter()
        most = _most(work, many)
        streamed = many * torch.Size(SHAPE).numel() * 4 / 1e9
        table.append([name, many, streamed, time.perf_counter() - start, most, few])
        note(f"{name}: {dict(zip(HEAD, table[-1], strict=True))}")
    publish("streams", "Memory beside a stream of pictures", HEAD, table)


def _pictures(count: int) -> Iterator[Tensor]:
    """So many pictures, drawn as they are asked for."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(max(1, count // BATCH)):
        yield torch.rand(BATCH, *SHAPE, generator=generator)


def _most(work: Callable[[Iterator[Tensor]], Any], count: int) -> float:
    """MiB that this process held at most, beside what it held before."""
    before = _held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the most that was held so far is forgotten
    work(_pictures(count))
    return _held("VmHWM") - before


def _held(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024
