"""A network with SiLU and squeeze-and-excite on CIFAR-10: accuracy, spikes, energy, and how long it converts."""

from __future__ import annotations

import time
from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

import snnconv
from benchmarks.codes import CodeSetting, CodeTables, TrainedTask, chosen_of
from benchmarks.datasets import cifar10_test, cifar10_train, data_file
from benchmarks.rate import CALIBRATION_IMAGES, measure
from benchmarks.results import publish
from benchmarks.small_efficientnet import PIXELS, WEIGHTS_FILE, small_efficientnet
from coding import FewSpike, OneSpike, Phase, Rate, TableSpike
from coding.schedule import Pipeline

SETTINGS = (
    CodeSetting("default", None),
    CodeSetting("OneSpike T=16", OneSpike(16)),
    CodeSetting("OneSpike T=24", OneSpike(24)),
    CodeSetting("OneSpike T=32", OneSpike(32)),
    CodeSetting("TableSpike T=16", TableSpike(16)),
    CodeSetting("TableSpike T=24", TableSpike(24)),
    CodeSetting("FewSpike T=6 k=3", FewSpike(6, spikes=3)),
    CodeSetting("FewSpike T=8 k=3", FewSpike(8, spikes=3)),
    CodeSetting("FewSpike T=12 k=4", FewSpike(12, spikes=4)),
    CodeSetting("Phase T=8", Phase(8)),
    CodeSetting("Rate T=32", Rate(32), schedule=Pipeline()),
)
_TITLES = ("Functions of one signal and products: SmallEfficientNet", "Cost of one image: SmallEfficientNet")


def run(images: int | None = None, rows: Sequence[str] = ("*",)) -> None:
    """Publish the tables ``smooth``, ``smooth_cost`` and ``smooth_seconds``.

    ``rows`` are patterns of settings.
    """
    model = small_efficientnet(data_file(WEIGHTS_FILE))
    calibration = cifar10_train(CALIBRATION_IMAGES, PIXELS).images
    task = TrainedTask("SmallEfficientNet", model, cifar10_test(images, PIXELS), calibration)
    tables = CodeTables("smooth", _TITLES)
    for setting in chosen_of(SETTINGS, rows):
        network = snnconv.convert(model, calibration, coding=setting.code, schedule=setting.schedule)
        tables.add(setting, task, measure(network, model, task.test, task.name, "window"))
    tables.publish()
    _seconds(calibration)


def _seconds(calibration: Tensor) -> None:
    """Publish how long conversion takes, beside the same layers with ReLU for SiLU and hard sigmoids for sigmoids."""
    path = data_file(WEIGHTS_FILE)
    smooth, plain = small_efficientnet(path), small_efficientnet(path, F.relu, F.hardsigmoid)
    table = []
    for name, network in (("SiLU", smooth), ("ReLU", plain), ("SiLU, again", smooth), ("ReLU, again", plain)):
        started = time.perf_counter()
        snnconv.convert(network, calibration, coding=FewSpike(8, spikes=3))
        table.append([name, time.perf_counter() - started])
    publish("smooth_seconds", "Seconds to convert", ("activations", "seconds"), table)
