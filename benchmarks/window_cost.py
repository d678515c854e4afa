"""Time of the window simulator in forward passes of the original network; the clock's beside."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.codes import Setting, Task, convert
from benchmarks.cost import BATCH, turn_by_turn
from benchmarks.datasets import cifar10_test, cifar10_train, data_file
from benchmarks.networks import WEIGHTS_FILE, resnet20
from benchmarks.rate import CALIBRATION_IMAGES
from benchmarks.results import keep, note, publish
from coding import TTFS, FewSpike, OneSpike

SETTINGS = (
    Setting("FewSpike T=6 k=3", FewSpike(6, spikes=3)),
    Setting("OneSpike T=16", OneSpike(16)),
    Setting("TTFS T=80", TTFS(80, tau="gradient")),
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
    """Publish the table ``window_cost``: a call, a run with spikes counted, and a run of the clock, turn by turn."""
    split = cifar10_test(images or BATCH)
    task = Task("ResNet-20", resnet20(data_file(WEIGHTS_FILE)), split, cifar10_train(CALIBRATION_IMAGES).images)
    table: list[list[Any]] = []
    title = f"Milliseconds for {len(split.labels)} images, and their ratio to a forward pass"
    for setting in SETTINGS:
        network = convert(task, setting)
        forward, window, counted = turn_by_turn(
            [
                partial(task.model, split.images),
                partial(network, split.images),
                partial(network.run, split.images, simulator="window"),
            ]
        )
        # By itself, one call a turn, beside forward passes of its own: it takes a pass or more for every step.
        clock = turn_by_turn(
            [partial(task.model, split.images), partial(network.run, split.images, simulator="clock")], calls=1
        )
        seconds = (forward, window, counted, clock[1])
        ratios = (window / forward, counted / forward, clock[1] / clock[0])
        table.append([setting.name, len(split.labels), *(round(1e3 * value, 1) for value in seconds), *ratios])
        note(f"{setting.name}: window {ratios[0]:.2f}, counted {ratios[1]:.2f}, clock {ratios[2]:.1f} forward passes")
        keep("window_cost", title, HEAD, table)
    publish("window_cost", title, HEAD, table)
