"""Noise of crossbars: decisions that codes keep, as many pulses everywhere, and pulses where noise hurts."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any, NamedTuple

from torch import Tensor, nn

import snnconv
from benchmarks.datasets import LabelledImages, cifar10_test, cifar10_train, data_file, mnist_test, mnist_train
from benchmarks.mnist_network import train_mnist_cnn
from benchmarks.networks import WEIGHTS_FILE, resnet20
from benchmarks.results import keep, note, publish
from coding import Code, CodingPlan, FewSpike, OneSpike, Phase, Thermometer
from snnconv import CrossbarNoise, SpikingNetwork

SIGMAS = (0.0, 0.05, 0.1, 0.2, 0.4)
CODES: dict[str, Code] = {
    "thermometer, 4 pulses": Thermometer(4),
    "thermometer, 8 pulses": Thermometer(8),
    "thermometer, 16 pulses": Thermometer(16),
    "phase, 8 steps": Phase(8),
    "few-spike, 6 steps, at most 3 spikes": FewSpike(6, spikes=3),
    "one-spike, 16 steps": OneSpike(16),
}
AVERAGE, LOSS, SEEDS, BISECTIONS = 8, 10.0, (0, 1, 2), 6
CALIBRATING, TRAINING = 500, 1000
CANDIDATES = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 20, 24, 28, 32)
CODES_TITLE = "Accuracy % by noise of reads"
PULSES_TITLE = f"Noise with which {AVERAGE} pulses cost {LOSS:g} points"
CODES_HEAD = ("network", "code", "images", *(f"sigma {sigma:g}" for sigma in SIGMAS))
PULSES_HEAD = ("network", "pulses", "images", "sigma", "in all", "accuracy %", "sd over seeds", "points back")


class _Case(NamedTuple):
    name: str
    model: nn.Module
    training: Tensor
    test: LabelledImages

    def converted(self, coding: Code | CodingPlan) -> SpikingNetwork:
        return snnconv.convert(self.model, self.training[:CALIBRATING], coding=coding)

    def accuracy(self, network: SpikingNetwork, sigma: float, seed: int = 0) -> float:
        data = (self.test.images, self.test.labels)
        noise = CrossbarNoise(sigma)
        found = snnconv.evaluate(network, data, reference=self.model, noise=noise, seed=1000 * seed).accuracy
        assert found is not None
        return found


def run(images: int | None = 2000) -> None:
    """Publish ``crossbar_codes`` and ``crossbar_pulses``; accuracies are those on so many test ``images``."""
    codes: list[list[Any]] = []
    pulses: list[list[Any]] = []
    for case in _cases(images):
        for label, code in CODES.items():
            network = case.converted(code)
            codes.append([case.name, label, len(case.test.labels)])
            codes[-1] += [round(case.accuracy(network, sigma), 2) for sigma in SIGMAS]
            note(" ".join(map(str, codes[-1])))
            keep("crossbar_codes", CODES_TITLE, CODES_HEAD, codes)
        pulses += _pulse_rows(case)
        keep("crossbar_pulses", PULSES_TITLE, PULSES_HEAD, pulses)
    publish("crossbar_codes", CODES_TITLE, CODES_HEAD, codes)
    publish("crossbar_pulses", PULSES_TITLE, PULSES_HEAD, pulses)


def _cases(images: int | None) -> list[_Case]:
    training, test = mnist_train(), mnist_test(images)
    digits = train_mnist_cnn(training.images, training.labels)
    return [
        _Case("MNIST CNN", digits, training.images[:TRAINING], test),
        _Case("ResNet-20", resnet20(data_file(WEIGHTS_FILE)), cifar10_train(TRAINING).images, cifar10_test(images)),
    ]


def _pulse_rows(case: _Case) -> list[list[Any]]:
    everywhere = case.converted(Thermometer(AVERAGE))
    exact = case.accuracy(everywhere, 0.0)
    low, high = 0.0, 2.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if exact - case.accuracy(everywhere, middle) < LOSS else (low, middle)
    sigma = (low + high) / 2
    found = {f"{AVERAGE} everywhere": everywhere, f"{2 * AVERAGE} everywhere": case.converted(Thermometer(2 * AVERAGE))}
    noise = CrossbarNoise(sigma)
    plan = snnconv.optimize_pulses(
        everywhere, case.training, noise=noise, average=AVERAGE, candidates=CANDIDATES, epochs=3, batch=25
    )
    note(f"{case.name}: {[code.steps for code in plan.overrides.values()]} pulses")
    found["where noise hurts"] = case.converted(plan)
    measured = {label: [case.accuracy(each, sigma, seed) for seed in SEEDS] for label, each in found.items()}
    base = mean(measured[f"{AVERAGE} everywhere"])
    rows = [[case.name, "exact reads", len(case.test.labels), 0.0, None, round(exact, 2), None, None]]
    for label, each in measured.items():
        total = sum(population.code.steps for population in found[label].populations.values())
        accuracies = [round(mean(each), 2), round(stdev(each), 2), round(mean(each) - base, 2)]
        rows.append([case.name, label, len(case.test.labels), round(sigma, 4), total, *accuracies])
    return rows
