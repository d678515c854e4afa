"""Time of the window simulator over networks of many kinds, in passes of the original as given and in its fastest form.

Networks whose weights are not at hand have random ones: what a window costs depends on shapes alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import snnconv
from benchmarks import small_efficientnet, small_vit
from benchmarks.datasets import data_file
from benchmarks.forms import RAW, forms
from benchmarks.networks import WEIGHTS_FILE, ResNet20, resnet20
from benchmarks.results import keep, note, publish
from benchmarks.timing import Turns, in_fresh_process, in_turns
from benchmarks.zoo.peer_models import torchvision
from coding import Code, FewSpike
from snnconv.detection import load_detector

THREADS = (1, 2)
ROUNDS = 5
CALIBRATION_IMAGES = 16
WINDOW, COUNTED = "window", "counted"
HEAD = (
    *("network", "images", "threads", "raw ms", "fastest form", "passes of raw", "quartiles", "of the fastest"),
    *("counted, of raw", "counted, of uncounted", "noise"),
)


@dataclass(frozen=True)
class _Subject:
    """A network, its pictures, and the code it is converted with (``None``: the default)."""

    build: Callable[[], nn.Module]
    edge: int
    images: int
    code: Code | None = None

    def model(self) -> nn.Module:
        """The network, the same in every process."""
        torch.manual_seed(0)
        return self.build().eval()

    def pictures(self, number: int) -> Tensor:
        """So many random pictures, the same in every process."""
        return torch.rand(number, 3, self.edge, self.edge, generator=torch.Generator().manual_seed(1))


def _vgg16() -> nn.Module:
    model = torchvision().models.vgg16(weights=None)
    return nn.Sequential(model.features, nn.Flatten(), nn.Linear(512, 10))


def _yolo() -> nn.Module:
    structure, weights = (data_file(f"yolo_fastest/yolo-fastest-1.1.{ending}") for ending in ("cfg", "weights"))
    return load_detector(structure, weights, data_file("coco.names")).network


SUBJECTS: dict[str, _Subject] = {
    "ResNet-20": _Subject(lambda: resnet20(data_file(WEIGHTS_FILE)), 32, 100, FewSpike(6, spikes=3)),
    "ResNet-20, one image": _Subject(lambda: resnet20(data_file(WEIGHTS_FILE)), 32, 1, FewSpike(6, spikes=3)),
    "ResNet-56": _Subject(lambda: ResNet20(blocks=9), 32, 50, FewSpike(6, spikes=3)),
    "VGG-16": _Subject(_vgg16, 32, 8, FewSpike(6, spikes=3)),
    "ResNet-50": _Subject(lambda: torchvision().models.resnet50(weights=None), 128, 4, FewSpike(6, spikes=3)),
    "MobileNetV2": _Subject(lambda: torchvision().models.mobilenet_v2(weights=None), 96, 8, FewSpike(6, spikes=3)),
    "SmallEfficientNet": _Subject(
        lambda: small_efficientnet.small_efficientnet(data_file(small_efficientnet.WEIGHTS_FILE)), 32, 32
    ),
    "SmallViT": _Subject(lambda: small_vit.small_vit(data_file(small_vit.WEIGHTS_FILE)), 32, 32),
    "Yolo-Fastest": _Subject(_yolo, 320, 2, FewSpike(16, spikes=3)),
}


def run(rows: Sequence[str] = ("*",)) -> None:
    """Publish the table ``window_networks`` for subjects whose names match ``rows``, on one thread and on two."""
    table: list[list[Any]] = []
    title = "Windows of many networks, in passes of the original"
    for name, subject in SUBJECTS.items():
        if not any(fnmatchcase(name, pattern) for pattern in rows):
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.snn"
            given = subject.pictures(CALIBRATION_IMAGES)
            snnconv.convert(subject.model(), given, coding=subject.code).save(path)
            for threads in THREADS:
                turns = in_fresh_process("benchmarks.window_networks:timed", threads, name=name, network=str(path))
                table.append(_row(name, subject.images, turns))
                keep("window_networks", title, HEAD, table)
    publish("window_networks", title, HEAD, table)


def timed(name: str, network: str) -> Turns:
    """Forms of the original, and the window simulator without and with counts, in turns."""
    subject, spiking = SUBJECTS[name], snnconv.load(network)
    pictures = subject.pictures(subject.images)
    works: dict[str, Callable[[], Any]] = dict(forms(subject.model(), pictures))
    works |= {WINDOW: partial(spiking, pictures), COUNTED: partial(spiking.run, pictures)}
    return in_turns(works, ROUNDS, retakes=ROUNDS * len(works) // 2)


def _row(name: str, images: int, turns: Turns) -> list[Any]:
    fastest = turns.fastest([work for work in turns.seconds if work not in (WINDOW, COUNTED)])
    raw, best, counted = turns.ratio(WINDOW, RAW), turns.ratio(WINDOW, fastest), turns.ratio(COUNTED, RAW)
    note(f"{name}, {turns.threads} thread(s): window {raw} passes of raw, {best} of {fastest}; counted {counted}")
    cells = [raw.median, f"{raw.low:.3g}-{raw.high:.3g}", best.median, counted.median]
    start = [name, images, turns.threads, round(1e3 * turns.time(RAW).median, 2), fastest]
    return [*start, *cells, turns.ratio(COUNTED, WINDOW).median, turns.control.relative]
