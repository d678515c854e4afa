"""Integer networks: what 8 bits cost, and runs on Lava beside the clock simulator, spike for spike."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import snnconv
from benchmarks.datasets import LabelledImages, cifar10_test, cifar10_train, data_file, mnist_test, mnist_train
from benchmarks.mnist_network import train_mnist_cnn
from benchmarks.networks import WEIGHTS_FILE, resnet20
from benchmarks.rate import CALIBRATION_IMAGES
from benchmarks.results import keep, note, publish
from benchmarks.smooth_digits import train_smooth_digits
from coding import Burst, Code, Concurrent, FewSpike, OneSpike, Pipeline, Rate
from hw_export.integers.quantization import quantize
from hw_export.integers.simulation import integer_simulation
from hw_export.lava.bundle import read_network, write_bundle
from hw_export.lava.execution import run_bundle
from snnconv.data import load_digits, train_digits_cnn
from snnconv.detection import draw_shapes, load_shapes_detector

STEPS = 32
CODES: dict[str, Code] = {"rate": Rate(STEPS), "burst": Burst(STEPS, largest_gain=4), "few-spike": FewSpike(6)}
#: Codes of networks with functions that are looked up, in tables of one spike and of two.
WINDOW_CODES: dict[str, Code] = {"one-spike": OneSpike(16), "few-spike": FewSpike(6)}
#: Samples whose rasters are compared; of all others spikes in sum and outputs are.
COMPARED = 2
INTEGER_HEAD = ("code", "images", "ANN %", "SNN %", "8 bits by channel %", "8 bits by population %", "bits of payloads")
LAVA_HEAD = (
    "network",
    "code",
    "samples",
    "steps",
    "ANN %",
    "Lava %",
    "payloads that differ",
    "spikes compared",
    "sums alike",
    "spikes per neuron",
    "ms per sample",
    "ms per step",
)


@dataclass(frozen=True)
class Task:
    """A trained network with samples to calibrate on and to run, classes where it has any."""

    model: nn.Module
    calibration: Tensor
    inputs: Tensor
    targets: Tensor | None

    def converted(self, code: Code) -> snnconv.SpikingNetwork:
        """The task's network in this code, as a stream where it has that form of every step."""
        schedule = Concurrent(STEPS) if code.streams and code.period == 1 else Pipeline()
        return snnconv.convert(self.model, self.calibration, coding=code, schedule=schedule)


def run_int8(images: int | None = None) -> None:
    """Publish the table ``int8``: accuracy of ResNet-20 in floating point and with 8-bit weights."""
    test, table = cifar10_test(images), []
    model = resnet20(data_file(WEIGHTS_FILE))
    calibration = cifar10_train(CALIBRATION_IMAGES).images
    title = "ResNet-20 on CIFAR-10 with 8-bit weights"
    for code in (FewSpike(6, spikes=3), FewSpike(8, spikes=2), OneSpike(16)):
        network = snnconv.convert(model, calibration, coding=code)
        found = [_accuracy(network, test)]
        for per in ("channel", "population"):
            integers = quantize(network, per=per)
            found.append(_accuracy(integer_simulation(integers), test))
        unit = next(iter(integers.populations.values())).rule.unit
        table.append([repr(code), len(test.images), _accuracy(model, test), *found, round(1 / unit).bit_length() - 1])
        note(f"{code!r}: {found}")
        keep("int8", title, INTEGER_HEAD, table)
    publish("int8", title, INTEGER_HEAD, table)


def run_lava(images: int | None = None, rows: Sequence[str] = ("*",)) -> None:
    """Publish the table ``lava``: every network in every code, up to ``images`` samples (100)."""
    table: list[list[Any]] = []
    title = "Runs on Lava beside the clock simulator of the same integer network"
    for name, (make, codes) in TASKS.items():
        if not any(fnmatchcase(f"{name}, {code}", pattern) for pattern in rows for code in codes):
            continue
        task = make(images or 100)
        for label, code in codes.items():
            if any(fnmatchcase(f"{name}, {label}", pattern) for pattern in rows):
                table.append([name, label, *_lava_row(task, code)])
                note(f"{name}, {label}: {table[-1][2:]}")
                keep("lava", title, LAVA_HEAD, table)
    publish("lava", title, LAVA_HEAD, table)


def _lava_row(task: Task, code: Code) -> list[Any]:
    network = task.converted(code)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.npz")
        write_bundle(quantize(network), path)
        simulation, _, _ = read_network(path)
        few, _ = run_bundle(path, task.inputs[:COMPARED], record=["rasters"])
        run, result = run_bundle(path, task.inputs)
    x = task.inputs.double()
    clock = simulation.run(x[:COMPARED], simulator="clock", record=["rasters"])
    different = sum(int((few.rasters[name] != raster).sum()) for name, raster in clock.rasters.items())
    compared = sum(int((raster != 0).sum()) for raster in clock.rasters.values())
    expected = simulation.run(x)
    outputs = zip(tree_leaves(run.output), tree_leaves(expected.output), strict=True)
    alike = run.spikes == expected.spikes and all(torch.allclose(*pair, rtol=0, atol=1e-9) for pair in outputs)
    steps, seconds = int(run.steps[0]), result.seconds["run"]
    accuracies: list[float | None] = [None, None]
    if task.targets is not None:
        with torch.no_grad():
            accuracies = [_share(task.model(task.inputs), task.targets), _share(run.output, task.targets)]
    return [
        len(x),
        steps,
        *accuracies,
        different,
        compared,
        alike,
        round(run.spikes_per_neuron, 3),
        1000 * seconds / len(x),
        1000 * seconds / result.steps,
    ]


def _accuracy(network: nn.Module, split: LabelledImages) -> float:
    like = next(iter(network.buffers())) if isinstance(network, snnconv.SpikingNetwork) else split.images
    with torch.no_grad():
        parts = [network(images.to(like.dtype)).argmax(1) for images in split.images.split(200)]  # type: ignore[no-untyped-call]
    return round(100 * float((torch.cat(parts) == split.labels).double().mean()), 2)


def _share(scores: Tensor, targets: Tensor) -> float:
    return round(100 * float((scores.argmax(1) == targets).double().mean()), 2)


def _digits(samples: int) -> Task:
    digits = load_digits()
    model = train_digits_cnn(digits)
    return Task(model, digits.train[0][:300], digits.test[0][:samples], digits.test[1][:samples])


def _smooth(samples: int) -> Task:
    digits = load_digits()
    model = train_smooth_digits(*digits.train)
    return Task(model, digits.train[0][:300], digits.test[0][:samples], digits.test[1][:samples])


def _mnist(samples: int) -> Task:
    train, test = mnist_train(), mnist_test(samples)
    return Task(train_mnist_cnn(*train), train.images[:CALIBRATION_IMAGES], test.images, test.labels)


def _cifar(samples: int) -> Task:
    test = cifar10_test(samples)
    return Task(resnet20(data_file(WEIGHTS_FILE)), cifar10_train(CALIBRATION_IMAGES).images, test.images, test.labels)


def _shapes(samples: int) -> Task:
    pictures, _ = draw_shapes(100 + samples, seed=1)
    return Task(load_shapes_detector().network, pictures[:100], pictures[100:], None)


TASKS: dict[str, tuple[Callable[[int], Task], Mapping[str, Code]]] = {
    "digits CNN": (_digits, CODES),
    "digits CNN, SiLU": (_smooth, WINDOW_CODES),
    "MNIST CNN": (_mnist, CODES),
    "ResNet-20": (_cifar, CODES),
    "shapes detector": (_shapes, CODES),
}
