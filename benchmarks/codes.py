"""Window codes on two networks and all test images: loss, spikes, latency, energy, and the clock's difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

import snnconv
from benchmarks.datasets import LabelledImages, cifar10_test, cifar10_train, data_file, mnist_test, mnist_train
from benchmarks.mnist_network import train_mnist_cnn
from benchmarks.networks import WEIGHTS_FILE, resnet20
from benchmarks.rate import CALIBRATION_IMAGES, measure
from benchmarks.results import ACCURACY_HEAD, accuracy_cells, keep, note, publish
from coding import TTFS, Code, FewSpike, OneSpike, Phase, Pipeline, Rate, Schedule, TableSpike
from coding.fit import fit
from snnconv.spiking.input_range import range_of

#: Images that both simulators compute.
CLOCK_IMAGES = 200
#: Images of a row that only the clock can compute.
CLOCK_ONLY_IMAGES = 1000


@dataclass(frozen=True)
class CodeSetting:
    """A row: the code of hidden populations ("auto", or ``None`` for none), channel-wise, and how they run.

    ``input`` is the code of the input, whose free parameter is fitted to calibration pixels; a constant current if
    ``None``.
    """

    name: str
    code: Code | str | None
    input: Code | None = None
    schedule: Schedule = field(default_factory=Pipeline)


def _ttfs(name: str, code: TTFS, **choices: Any) -> CodeSetting:
    """TTFS as in its paper, where the input fires too: L weighted layers take (L - 1) strides and a window."""
    return CodeSetting(name, code, input=code, **choices)


GRADIENT = TTFS(80, tau="gradient")
SETTINGS = (
    CodeSetting("FewSpike T=6 k=3", FewSpike(6, spikes=3)),
    CodeSetting("FewSpike T=8 k=2", FewSpike(8, spikes=2)),
    CodeSetting("FewSpike T=4 k=2", FewSpike(4, spikes=2)),
    CodeSetting("OneSpike T=12", OneSpike(12)),
    CodeSetting("OneSpike T=16", OneSpike(16)),
    CodeSetting("OneSpike T=24", OneSpike(24)),
    CodeSetting("TableSpike T=8", TableSpike(8)),
    CodeSetting("TableSpike T=12", TableSpike(12)),
    CodeSetting("TableSpike T=16", TableSpike(16)),
    CodeSetting("TableSpike T=24", TableSpike(24)),
    CodeSetting("auto, max_loss 0.5", "auto"),
    _ttfs("TTFS T=80 tau=20", TTFS(80, tau=20.0)),
    _ttfs("TTFS T=80 GO", GRADIENT),
    CodeSetting("TTFS T=80 GO, real input", GRADIENT),
    _ttfs("TTFS T=80 GO, early firing S=40", GRADIENT, schedule=Pipeline(stride=40)),
    _ttfs("TTFS T=40 fitted, arithmetic", TTFS(40, tau="fit", rounding="arithmetic")),
    CodeSetting("TTFS T=40 fitted, arithmetic, real input", TTFS(40, tau="fit", rounding="arithmetic")),
    _ttfs("TTFS T=40 fitted, geometric", TTFS(40, tau="fit", rounding="geometric")),
    CodeSetting("Phase T=8", Phase(8)),
    CodeSetting("Rate T=8", Rate(8), schedule=Pipeline()),
    CodeSetting("Rate T=32", Rate(32), schedule=Pipeline()),
)
HEAD = (
    "code",
    "network",
    "images",
    "window",
    "latency",
    *ACCURACY_HEAD,
    "agreement %",
    "spikes per neuron",
    "clock: accuracy",
    "clock: spikes",
)
COST_HEAD = ("code", "network", "input spikes", "SynOps", "E2 J", "E2 ANN J", "E3 J", "E3 ANN J")


@dataclass(frozen=True)
class TrainedTask:
    """A trained network with its test images and its calibration images."""

    name: str
    model: nn.Module
    test: LabelledImages
    calibration: Tensor


def tasks(images: int | None) -> list[TrainedTask]:
    """ResNet-20 on CIFAR-10, and an MNIST network with max pooling that is trained first."""
    train = mnist_train()
    return [
        TrainedTask(
            "ResNet-20",
            resnet20(data_file(WEIGHTS_FILE)),
            cifar10_test(images),
            cifar10_train(CALIBRATION_IMAGES).images,
        ),
        TrainedTask(
            "MNIST CNN",
            train_mnist_cnn(train.images, train.labels),
            mnist_test(images),
            train.images[:CALIBRATION_IMAGES],
        ),
    ]


def run(images: int | None = None, rows: Sequence[str] = ("*",)) -> None:
    """Publish the tables ``codes`` and ``codes_cost``: every setting whose name matches one of ``rows``."""
    tables = CodeTables("codes", ("Window codes, channel-wise normalisation", "Cost of one image"))
    chosen = chosen_of(SETTINGS, rows)
    for task in tasks(images):
        for setting in chosen:
            network = convert(task, setting)
            result, differences = compare(network, task)
            tables.add(setting, task, result, differences)
    tables.publish()


class CodeTables:
    """The tables ``name`` and ``name``_cost of settings, kept row by row."""

    def __init__(self, name: str, titles: tuple[str, str]) -> None:
        self._table: list[list[Any]] = []
        self._costs: list[list[Any]] = []
        self._parts = ((name, titles[0], HEAD, self._table), (f"{name}_cost", titles[1], COST_HEAD, self._costs))

    def add(
        self,
        setting: CodeSetting,
        task: TrainedTask,
        result: snnconv.Evaluation,
        differences: tuple[float, float] | None = None,
    ) -> None:
        """One more row of each; ``differences`` are those that the clock gives (see ``compare``)."""
        self._table.append(_row(setting, task, result, differences))
        self._costs.append(_cost_row(setting, task, result))
        note(f"{task.name}, {setting.name}: {result.accuracy:.2f} % of {result.reference_accuracy:.2f} %")
        for part in self._parts:
            keep(*part)

    def publish(self) -> None:
        """Print and write both."""
        for part in self._parts:
            publish(*part)


def chosen_of(settings: Sequence[CodeSetting], rows: Sequence[str]) -> list[CodeSetting]:
    """Those of ``settings`` whose names match one of the patterns ``rows``."""
    return [setting for setting in settings if any(fnmatchcase(setting.name, pattern) for pattern in rows)]


def convert(task: TrainedTask, setting: CodeSetting) -> snnconv.SpikingNetwork:
    """The task's network under a setting."""
    code = None if setting.input is None else input_code(setting.input, task.calibration)
    return snnconv.convert(
        task.model, task.calibration, coding=setting.code, input=code or "real", schedule=setting.schedule
    )


def input_code(code: Code, images: Tensor) -> Code:
    """``code`` with its free parameter fitted to the pixels of ``images``, in [0, 1] channel by channel."""
    values, counts = range_of(images, by_channel=True).normalize(images).unique(return_counts=True)  # type: ignore[no-untyped-call]
    return fit(code, values, counts)


def compare(
    network: snnconv.SpikingNetwork, task: TrainedTask
) -> tuple[snnconv.Evaluation, tuple[float, float] | None]:
    """Evaluation on all test images, and what the clock gives more on the first of them: accuracy, spikes per neuron.

    Where there is no closed form the clock computes all it can in reasonable time, and there is nothing to compare.
    """
    assert network.timing is not None
    if not network.timing.closed:
        return measure(network, task.model, first(task.test, CLOCK_ONLY_IMAGES), task.name, "clock"), None
    result = measure(network, task.model, task.test, task.name, "window")
    few = first(task.test, CLOCK_IMAGES)
    window, clock = (measure(network, task.model, few, name, name) for name in ("window", "clock"))
    assert window.accuracy is not None and clock.accuracy is not None
    return result, (clock.accuracy - window.accuracy, clock.spikes_per_neuron - window.spikes_per_neuron)


def first(split: LabelledImages, count: int) -> LabelledImages:
    """The first ``count`` images with their labels."""
    return LabelledImages(split.images[:count], split.labels[:count])


def _row(
    setting: CodeSetting, task: TrainedTask, result: snnconv.Evaluation, differences: tuple[float, float] | None
) -> list[Any]:
    assert result.reference_accuracy is not None and result.accuracy is not None
    assert result.agreement is not None
    accuracy, spikes = differences or (None, None)
    return [
        setting.name,
        task.name,
        result.samples,
        setting.code.steps if isinstance(setting.code, Code) else "by population",
        result.steps,
        *accuracy_cells(result.reference_accuracy, result.accuracy, result.samples),
        round(result.agreement, 2),
        round(result.spikes_per_neuron, 3),
        accuracy,
        spikes,
    ]


def _cost_row(setting: CodeSetting, task: TrainedTask, result: snnconv.Evaluation) -> list[Any]:
    e = result.energy
    joules = (e.e2, e.e2_reference, e.e3, e.e3_reference)
    return [setting.name, task.name, round(result.input_spikes, 1), result.synops, *joules]
