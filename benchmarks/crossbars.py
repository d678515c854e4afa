"""Noise of crossbars: decisions that codes keep, as many pulses everywhere, and pulses where noise hurts."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any, NamedTuple

from torch import Tensor, nn, stack

import snnconv
from benchmarks.datasets import LabelledImages, cifar10_test, cifar10_train, data_file, mnist_test, mnist_train
from benchmarks.mnist_network import train_mnist_cnn
from benchmarks.networks import WEIGHTS_FILE, resnet20
from benchmarks.results import keep, note, publish
from coding import Code, CodingPlan, FewSpike, OneSpike, Phase, Thermometer
from snnconv import CrossbarNoise, SpikingNetwork
from snnconv.simulators import simulator_for

SIGMAS = (0.0, 0.05, 0.1, 0.2, 0.4)
CODES: dict[str, Code] = {
    "thermometer, 4 pulses": Thermometer(4),
    "thermometer, 8 pulses": Thermometer(8),
    "thermometer, 16 pulses": Thermometer(16),
    "phase, 8 steps": Phase(8),
    "few-spike, 6 steps, at most 3 spikes": FewSpike(6, spikes=3),
    "one-spike, 16 steps": OneSpike(16),
}
AVERAGE, LOSS, SEEDS, BISECTIONS = 8, 10.0, (0, 1, 2), 8
CALIBRATING, TRAINING = 500, 1000
CODES_TITLE = "Accuracy % by noise of reads"
PULSES_TITLE = f"Noise with which {AVERAGE} pulses cost {LOSS:g} points"
CODES_HEAD = ("network", "code", "images", *(f"sigma {sigma:g}" for sigma in SIGMAS))
PULSES_HEAD = (
    "network",
    "pulses",
    "images",
    "sigma",
    "in all",
    "accuracy %",
    "sd over seeds",
    "points back",
    "95 % +-",
)


class _Case(NamedTuple):
    name: str
    model: nn.Module
    training: LabelledImages
    test: LabelledImages

    def converted(self, coding: Code | CodingPlan) -> SpikingNetwork:
        return snnconv.convert(self.model, self.training.images[:CALIBRATING], coding=coding)

    def right(self, network: SpikingNetwork, sigma: float, seed: int = 0) -> Tensor:
        """Which test images are decided right, float ``[N]``."""
        output, _ = simulator_for(network, seed=seed, noise=CrossbarNoise(sigma)).run((self.test.images,), [])
        scores: Tensor = output
        return (scores.argmax(1) == self.test.labels).float()

    def accuracy(self, network: SpikingNetwork, sigma: float) -> float:
        return 100.0 * float(self.right(network, sigma).mean())


def run(images: int | None = 1000) -> None:
    """Publish ``crossbar_codes`` and ``crossbar_pulses``; accuracies are those on so many test ``images``."""
    codes: list[list[Any]] = []
    pulses: list[list[Any]] = []
    cases = _cases(images)
    for case in cases:
        pulses += _pulse_rows(case)
        keep("crossbar_pulses", PULSES_TITLE, PULSES_HEAD, pulses)
    for case in cases:
        for label, code in CODES.items():
            network = case.converted(code)
            codes.append([case.name, label, len(case.test.labels)])
            codes[-1] += [round(case.accuracy(network, sigma), 1) for sigma in SIGMAS]
            note(" ".join(map(str, codes[-1])))
            keep("crossbar_codes", CODES_TITLE, CODES_HEAD, codes)
    publish("crossbar_codes", CODES_TITLE, CODES_HEAD, codes)
    publish("crossbar_pulses", PULSES_TITLE, PULSES_HEAD, pulses)


def _cases(images: int | None) -> list[_Case]:
    training, test = mnist_train(), mnist_test(images)
    digits = train_mnist_cnn(training.images, training.labels)
    few = LabelledImages(training.images[:TRAINING], training.labels[:TRAINING])
    return [
        _Case("MNIST CNN", digits, few, test),
        _Case("ResNet-20", resnet20(data_file(WEIGHTS_FILE)), cifar10_train(TRAINING), cifar10_test(images)),
    ]


def _pulse_rows(case: _Case) -> list[list[Any]]:
    everywhere = case.converted(Thermometer(AVERAGE))
    exact = case.accuracy(everywhere, 0.0)
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if exact - case.accuracy(everywhere, middle) < LOSS else (low, middle)
    sigma = (low + high) / 2
    plan = snnconv.optimize_pulses(
        everywhere, case.training, noise=CrossbarNoise(sigma), average=AVERAGE, targets="labels", epochs=1
    )
    note(f"{case.name}: {[code.steps for code in plan.overrides.values()]} pulses")
    found = {
        f"{AVERAGE} everywhere": everywhere,
        f"{2 * AVERAGE} everywhere": case.converted(Thermometer(2 * AVERAGE)),
        "where noise hurts": case.converted(plan),
    }
    rows = [[case.name, "exact reads", len(case.test.labels), 0.0, None, round(exact, 2), None, None, None]]
    base: list[Tensor] = []
    for label, each in found.items():
        right = [case.right(each, sigma, seed) for seed in SEEDS]
        base = base or right
        back = 100.0 * (stack(right) - stack(base)).mean(0)  # by image, so that noise of the choice of images cancels
        interval = 1.96 * float(back.std()) / len(back) ** 0.5
        accuracies = [100.0 * float(seed.mean()) for seed in right]
        total = sum(population.code.steps for population in each.populations.values())
        figures = [mean(accuracies), stdev(accuracies), float(back.mean()), interval]
        rows.append([case.name, label, len(back), round(sigma, 4), total, *(round(figure, 2) for figure in figures)])
        note(" ".join(map(str, rows[-1])))
    return rows
