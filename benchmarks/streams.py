"""Memory beside a stream of pictures that fits no memory: calibration and evaluation hold as much of many as of few."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

import snnconv
from benchmarks.results import note, publish
from benchmarks.timing import in_fresh_process
from coding import FewSpike

#: Pictures of so many channels, rows and columns, in batches of so many, of which calibration keeps no more than fit.
SHAPE, BATCH = (3, 64, 64), 100
#: A tenth of the pictures that are streamed is what growth is measured from.
IMAGES, PART = 100_000, 10
HEAD = ("work", "pictures", "GiB streamed", "seconds", "MiB held at most, beside the start", "for a tenth of them")


def run(images: int | None = None) -> None:
    """Publish the table ``streams``: the most memory that is held while so many ``images`` (100,000) are streamed.

    Every figure is that of a process of its own, beside what it held before it had seen a picture: what a process did
    before leaves memory with its allocator, which later work takes again without being seen.
    """
    many, table = images or IMAGES, []
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "network.snn")
        snnconv.convert(_model(), next(_pictures(BATCH)), coding=FewSpike(4)).save(file)
        for work in ("calibration", "evaluation"):
            most, few = (
                in_fresh_process("benchmarks.streams:held", 1, work=work, file=file, images=count)
                for count in (many, many // PART)
            )
            streamed = many * torch.Size(SHAPE).numel() * 4 / 2**30
            table.append([work, many, streamed, most["seconds"], most["held"], few["held"]])
            note(f"{work}: {dict(zip(HEAD, table[-1], strict=True))}")
    publish("streams", "Memory beside a stream of pictures", HEAD, table)


def held(work: str, file: str, images: int) -> dict[str, float]:
    """MiB that this process holds at most, beside what it held before, while so many pictures are streamed; seconds."""
    model, network = _model(), snnconv.load(file)
    before, start = _memory("VmRSS"), time.perf_counter()
    Path("/proc/self/clear_refs").write_text("5")  # the most that was held so far is forgotten
    if work == "calibration":
        snnconv.convert(model, _pictures(images), coding=FewSpike(4))
    else:
        snnconv.evaluate(network, _pictures(images))
    return {"held": _memory("VmHWM") - before, "seconds": time.perf_counter() - start}


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(16 * 7 * 7, 10)),
    )


def _pictures(count: int) -> Iterator[Tensor]:
    """So many pictures, drawn as they are asked for."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(max(1, count // BATCH)):
        yield torch.rand(BATCH, *SHAPE, generator=generator)


def _memory(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024
