"""Tuning of ResNet-20 at few time steps: accuracy and spikes before and after, and the minutes it takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import snnconv
from benchmarks.codes import CodeSetting, TrainedTask, convert
from benchmarks.datasets import cifar10_test, cifar10_train, data_file
from benchmarks.networks import WEIGHTS_FILE, resnet20
from benchmarks.rate import CALIBRATION_IMAGES, measure
from benchmarks.results import ACCURACY_HEAD, FOLDER, accuracy_cells, keep, note, publish
from coding import FewSpike, OneSpike
from snnconv.cli.progress import progress_bars
from snnconv.tuning import ShiftAndFlip

#: Training images, of which a tenth is held out.
TRAINING_IMAGES = 10_000
SETTINGS = (CodeSetting("OneSpike T=8", OneSpike(8)), CodeSetting("FewSpike T=4 k=2", FewSpike(4, spikes=2)))
EPOCHS = 2
OPTIONS: dict[str, Any] = {
    "learning_rate": 6e-4,
    "population_weight": 10.0,
    "augmentation": ShiftAndFlip(),
}
TITLE = "ResNet-20, CIFAR-10, tuned through its own spikes"
HEAD = ("code", "images", "epochs", "minutes", *ACCURACY_HEAD, "agreement %", "spikes per neuron")


def run(images: int | None = None, rows: Sequence[str] = ("*",), epochs: int = EPOCHS) -> None:
    """Publish the table ``tuning``; an interrupted run goes on behind the last whole epoch."""
    model = resnet20(data_file(WEIGHTS_FILE))
    training = cifar10_train(TRAINING_IMAGES)
    task = TrainedTask("ResNet-20", model, cifar10_test(images), training.images[:CALIBRATION_IMAGES])
    table: list[list[Any]] = []
    for setting in (setting for setting in SETTINGS if any(fnmatchcase(setting.name, pattern) for pattern in rows)):
        network = convert(task, setting)
        table.append(_row(setting, task, network, 0, None))
        file = FOLDER / f"tuning {setting.name} {epochs}.checkpoint"
        FOLDER.mkdir(exist_ok=True)
        start = time.perf_counter()
        with progress_bars() as progress:
            tuned = snnconv.tune(network, training.images, epochs=epochs, checkpoint=file, progress=progress, **OPTIONS)
        minutes = (time.perf_counter() - start) / 60
        assert tuned.tuning_log is not None
        note(f"{setting.name}: {tuned.tuning_log}")
        table.append(_row(setting, task, tuned, epochs, None if tuned.tuning_log.resumed else minutes))
        keep("tuning", TITLE, HEAD, table)
    publish("tuning", TITLE, HEAD, table)


def _row(
    setting: CodeSetting, task: TrainedTask, network: snnconv.SpikingNetwork, epochs: int, minutes: float | None
) -> list[Any]:
    result = measure(network, task.model, task.test, setting.name, "window")
    assert result.reference_accuracy is not None and result.accuracy is not None
    assert result.agreement is not None
    note(f"{setting.name}, {epochs} epochs: {result.accuracy:.2f} % of {result.reference_accuracy:.2f} %")
    return [
        setting.name,
        result.samples,
        epochs,
        None if minutes is None else round(minutes, 1),
        *accuracy_cells(result.reference_accuracy, result.accuracy, result.samples),
        round(result.agreement, 2),
        round(result.spikes_per_neuron, 3),
    ]
