"""Time of the window simulator in forward passes of the original network; the clock's beside."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

import snnconv
from benchmarks import detection_codes
from benchmarks.codes import CodeSetting, TrainedTask, convert
from benchmarks.cost import BATCH
from benchmarks.datasets import cifar10_test, cifar10_train, data_file
from benchmarks.detection_data import yolo_fastest
from benchmarks.networks import WEIGHTS_FILE, resnet20
from benchmarks.rate import CALIBRATION_IMAGES
from benchmarks.results import keep, note, publish
from benchmarks.timing import in_turns
from coding import TTFS, FewSpike, OneSpike

PICTURES = 16
CLOCK_ROUNDS = 3
SETTINGS = (
    CodeSetting("FewSpike T=6 k=3", FewSpike(6, spikes=3)),
    CodeSetting("OneSpike T=16", OneSpike(16)),
    CodeSetting("TTFS T=80", TTFS(80, tau="gradient")),
)
HEAD = (
    "code",
    "images",
    "ANN forward ms",
    "window ms",
    "counted ms",
    "clock ms",
    "window ratio",
    "counted ratio",
    "clock ratio",
)


def run(images: int | None = None) -> None:
    """Publish the table ``window_cost``: a call, a run with spikes counted, and a run of the clock, turn by turn.

    The last row is a detector on pictures of 320 by 320 pixels.
    """
    split = cifar10_test(images or BATCH)
    task = TrainedTask("ResNet-20", resnet20(data_file(WEIGHTS_FILE)), split, cifar10_train(CALIBRATION_IMAGES).images)
    table: list[list[Any]] = []
    title = "Milliseconds for all images, and their ratio to a forward pass"
    for setting in SETTINGS:
        table.append(_row(setting.name, task.model, convert(task, setting), split.images))
        keep("window_cost", title, HEAD, table)
    detection = yolo_fastest()
    network = detection_codes.convert(detection, FewSpike(16, spikes=3))
    pictures = detection.calibration[:PICTURES]
    table.append(_row("Yolo-Fastest, FewSpike T=16 k=3", detection.detector.network, network, pictures))
    publish("window_cost", title, HEAD, table)


def _row(name: str, model: nn.Module, network: snnconv.SpikingNetwork, images: Tensor) -> list[Any]:
    forward = partial(model, images)
    works = {
        "forward": forward,
        "window": partial(network, images),
        "counted": partial(network.run, images, simulator="window"),
    }
    turns = in_turns(works)
    # By itself, beside forward passes of its own: it takes a pass or more for every step.
    clock = in_turns(
        {"forward": forward, "clock": partial(network.run, images, simulator="clock")}, rounds=CLOCK_ROUNDS
    )
    seconds = (*(turns.time(name).median for name in works), clock.time("clock").median)
    ratios = (
        *(turns.ratio(name, "forward").median for name in ("window", "counted")),
        clock.ratio("clock", "forward").median,
    )
    note(f"{name}: window {ratios[0]:.2f}, counted {ratios[1]:.2f}, clock {ratios[2]:.1f} forward passes")
    return [name, len(images), *(round(1e3 * value, 1) for value in seconds), *ratios]
