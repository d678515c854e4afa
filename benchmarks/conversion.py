"""Time of a conversion in forward passes of the original network over the same samples, and its peak memory."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import snnconv
from benchmarks.datasets import cifar10_test, cifar10_train, data_file
from benchmarks.networks import WEIGHTS_FILE, resnet20
from benchmarks.results import keep, note, publish
from benchmarks.timing import in_turns
from benchmarks.zoo.peer_models import torchvision
from coding import FewSpike

#: Samples of a conversion that takes hardly more than what does not depend on their number.
FEW = 5
#: Samples that one pass takes at a time.
TOGETHER = 32
MOBILE_PIXELS, LARGE_PIXELS, LARGE_SAMPLES = 64, 224, 8
LARGE_NETWORKS = ("vgg16", "resnet50")
ROWS = 3
HEAD = ("what", "samples", "pass ms", "seconds", "fixed seconds", "passes", "passes, fixed cost apart")


def run(images: int | None = None, rows: list[str] | None = None) -> None:
    """Publish the tables ``conversion`` and ``conversion_memory``; ``images`` calibrate ResNet-20.

    The fixed cost is that of a conversion with few samples. A row of a sweep is what one more coding takes, without its
    evaluation. ``rows`` name what is measured: resnet20, mobilenet_v2, auto, sweep, memory.
    """
    model, samples = resnet20(data_file(WEIGHTS_FILE)), cifar10_train(images or 500).images
    works: dict[str, Callable[[], list[Any]]] = {
        "resnet20": partial(_row, "ResNet-20", model, samples),
        "mobilenet_v2": lambda: _row("MobileNetV2, random weights, 64 pixels", *_mobilenet()),
        "auto": partial(_row, f"auto, ResNet-20, {len(samples)} samples", model, samples, 1, coding="auto"),
        "sweep": partial(_sweep_row, model, samples),
    }
    table: list[list[Any]] = []
    title = "Time of a conversion in forward passes of the original over the same samples"
    for name in works:
        if rows is None or name in rows:
            table.append(works[name]())
            note(f"{table[-1][0]}: {table[-1][-2]:.1f} passes, {table[-1][-1]:.1f} with the fixed cost apart")
            keep("conversion", title, HEAD, table)
    if table:
        publish("conversion", title, HEAD, table)
    if rows is None or "memory" in rows:
        head = ("network", "weights MiB", "peak of a forward pass MiB", "peak of a conversion MiB", "ratio")
        publish("conversion_memory", "Peak memory of fresh processes", head, [_memory(name) for name in LARGE_NETWORKS])


def _row(name: str, model: nn.Module, samples: Tensor, rounds: int = 3, **options: Any) -> list[Any]:
    works: dict[str, Callable[[], object]] = {
        "pass": partial(_pass, model, samples),
        "few": partial(snnconv.convert, model, samples[:FEW]),
        "all": partial(snnconv.convert, model, samples, **options),
    }
    turns = in_turns(works, rounds)
    return _cells(name, len(samples), *(turns.time(each).median for each in works))


def _sweep_row(model: nn.Module, samples: Tensor) -> list[Any]:
    split = cifar10_test(TOGETHER)
    data = (split.images, split.labels)
    codings = {f"{steps} steps": FewSpike(steps, spikes=3) for steps in range(5, 5 + ROWS)}
    first = dict([*codings.items()][:1])
    network = snnconv.convert(model, samples, coding=codings["5 steps"])
    works: dict[str, Callable[[], object]] = {
        "pass": partial(_pass, model, samples),
        "evaluation": partial(snnconv.evaluate, network, data, reference=model),
        "one": partial(snnconv.sweep, model, samples, data, first),
        "all": partial(snnconv.sweep, model, samples, data, codings),
    }
    turns = in_turns(works, rounds=3)
    seconds = {name: turns.time(name).median for name in works}
    added = (seconds["all"] - seconds["one"]) / (ROWS - 1) - seconds["evaluation"]
    return _cells("sweep, one more row", len(samples), seconds["pass"], 0.0, added)


def _cells(name: str, samples: int, forward: float, fixed: float, whole: float) -> list[Any]:
    return [name, samples, round(1e3 * forward, 1), whole, fixed, whole / forward, (whole - fixed) / forward]


def _pass(model: nn.Module, samples: Tensor) -> None:
    with torch.no_grad():
        for part in torch.split(samples, TOGETHER):
            model(part)


def _mobilenet() -> tuple[nn.Module, Tensor]:
    return _random("mobilenet_v2"), _noise(64, MOBILE_PIXELS)


def _random(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: nn.Module = getattr(torchvision().models, name)()
    return model.eval()


def _noise(samples: int, pixels: int) -> Tensor:
    return torch.randn(samples, 3, pixels, pixels, generator=torch.Generator().manual_seed(1))


def _memory(name: str) -> list[Any]:
    peaks = []
    for converts in (False, True):
        call = f"from benchmarks.conversion import peak_memory; print(peak_memory({name!r}, {converts}))"
        output = subprocess.run([sys.executable, "-c", call], check=True, capture_output=True, text=True).stdout
        peaks.append(int(output.split()[-1]) / 1024)
    weights = sum(parameter.nbytes for parameter in _random(name).parameters()) / 2**20
    return [name, round(weights), round(peaks[0]), round(peaks[1]), peaks[1] / peaks[0]]


def peak_memory(name: str, converts: bool) -> int:
    """Peak resident memory of this process, in KiB, after a pass of a network of torchvision, or its conversion."""
    model, samples = _random(name), _noise(LARGE_SAMPLES, LARGE_PIXELS)
    _pass(model, samples[:1])
    if converts:
        snnconv.convert(model, samples)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
