"""What the setting of every paper gives on the networks at hand; rows that were measured before are read back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import torch

import snnconv
from benchmarks.datasets import batches, cifar10_test, cifar10_train, data_file
from benchmarks.detection_data import DetectionTask, yolo_fastest
from benchmarks.networks import WEIGHTS_FILE, ResNet20, resnet20
from benchmarks.paper_settings import ANTLR, SETTINGS, LearningSetting, PaperSetting
from benchmarks.results import FOLDER, keep, note, publish
from coding import Concurrent
from snnconv.data import load_digits
from snnconv.detection import evaluate as evaluate_detector
from snnconv.learning import EncodedSamples, LayeredNetwork, measure, train

TITLE = "Settings of papers on the networks at hand"
HEAD = ("paper", "variant", "network", "samples", "most steps", "steps", "ANN %", "SNN %", "spikes per neuron", "call")
#: Images of the classifier for one picture of the detector, which takes so much longer.
_IMAGES_A_PICTURE = 25
_CALIBRATION, _BATCH = 500, 50
_ROWS = "papers_rows"


def run(images: int = 100, steps: int = 256, rows: Sequence[str] = ("*",)) -> None:
    """Publish the table ``papers``, of ``images`` test images and a 25th as many pictures of a detector.

    Streams are cut to ``steps`` steps, since those of the papers take long; all else is as in the call of the row.
    Rows that ``results/papers_rows.json`` holds already are not measured again: delete it to start over.
    """
    kept = _kept()
    chosen: list[list[Any]] = []
    for setting in (*SETTINGS, ANTLR):
        if not any(fnmatchcase(f"{setting.paper}, {setting.variant}", pattern) for pattern in rows):
            continue
        samples = max(1, images // _IMAGES_A_PICTURE) if setting.network == "Yolo-Fastest" else images
        key = (setting.call, samples, steps)
        if key not in kept:
            figures = _measured(setting, samples, steps)
            kept[key] = [setting.paper, setting.variant, setting.network, samples, steps, *figures, setting.call]
            keep(_ROWS, TITLE, HEAD, [*kept.values()])
            note(f"{setting.paper}, {setting.variant}: {kept[key][7]} of {kept[key][6]}")
        chosen.append(kept[key])
    publish("papers", TITLE, HEAD, chosen)


def _kept() -> dict[tuple[str, int, int], list[Any]]:
    path = FOLDER / f"{_ROWS}.json"
    if not path.exists():
        return {}
    stored = [[row[name] for name in HEAD] for row in json.loads(path.read_text())["rows"]]
    return {(row[-1], row[3], row[4]): row for row in stored}


def _measured(setting: PaperSetting | LearningSetting, samples: int, steps: int) -> list[Any]:
    """Steps, percentages of the original and of the spiking network, and spikes per neuron."""
    if isinstance(setting, LearningSetting):
        return _learned(setting, samples)
    options = dict(setting.options)
    schedule = options.get("schedule")
    if isinstance(schedule, Concurrent):
        options["schedule"] = Concurrent(min(steps, schedule.steps))
    if setting.network == "Yolo-Fastest":
        task = _detector(samples)
        network = snnconv.convert(task.detector.network, task.calibration, **options)
        marks = [options["schedule"].steps]
        detected = evaluate_detector(
            task.detector.with_network(network), task.others, reference=task.detector, at=marks
        )
        precisions = [round(each.ap50, 2) for each in (detected.reference_precision, detected.precision)]
        return [marks[0], *precisions, round(detected.spikes_per_neuron, 3)]
    network = snnconv.convert(_classifier(), cifar10_train(_CALIBRATION).images, **options)
    test = cifar10_test(samples)
    parts = list(zip(batches(test.images, _BATCH), batches(test.labels, _BATCH), strict=True))
    found = snnconv.evaluate(network, parts, reference=_classifier())
    return [found.steps, found.reference_accuracy, found.accuracy, round(found.spikes_per_neuron, 3)]


def _learned(setting: LearningSetting, samples: int) -> list[Any]:
    """Steps, no original, accuracy by first spikes, and spikes per neuron until the decision."""
    digits = load_digits()
    training, test = (
        EncodedSamples(images.flatten(1), labels, setting.encoder)
        for images, labels in (digits.train, (digits.test[0][:samples], digits.test[1][:samples]))
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = LayeredNetwork(setting.sizes, neuron=setting.neuron, weight_offset=3.0)
    train(network, training, **setting.options)
    found = measure(network, test)
    return [
        setting.encoder.steps,
        None,
        round(found.by_first, 2),
        round(found.necessary_spikes / sum(network.sizes[1:]), 3),
    ]


@cache
def _classifier() -> ResNet20:
    return resnet20(data_file(WEIGHTS_FILE))


@cache
def _detector(pictures: int) -> DetectionTask:
    return yolo_fastest(pictures)
