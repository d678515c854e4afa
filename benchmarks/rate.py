"""Rate code on ResNet-20 and all CIFAR-10 test images: loss, spikes, latency and energy by number of time steps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch
from rich.progress import track
from torch import Tensor, nn

import snnconv
from benchmarks.datasets import LabelledImages, cifar10_test, cifar10_train, data_file
from benchmarks.networks import WEIGHTS_FILE, resnet20
from benchmarks.results import ACCURACY_HEAD, accuracy_cells, publish
from coding import Rate, Schedule

CALIBRATION_IMAGES = 500
STEPS = 128
MARKS = (16, 32, 64, 128)
NEURONS = ("integrate-fire", "corrective")
HEAD = ("neuron", "images", "steps", *ACCURACY_HEAD, "agreement %", "spikes per neuron")


def batches(split: LabelledImages, size: int = 100) -> Iterator[tuple[Tensor, Tensor]]:
    """Images and labels, ``size`` at a time."""
    yield from zip(torch.split(split.images, size), torch.split(split.labels, size), strict=True)


def convert(
    model: nn.Module, neuron: str, steps: int = STEPS, schedule: Schedule | None = None
) -> snnconv.SpikingNetwork:
    """``model`` in rate code, calibrated on training images of CIFAR-10."""
    samples = cifar10_train(CALIBRATION_IMAGES).images
    return snnconv.convert(model, samples, coding=Rate(steps), neuron=neuron, schedule=schedule)


def measure(
    network: snnconv.SpikingNetwork, model: nn.Module, split: LabelledImages, what: str, simulator: str = "auto"
) -> snnconv.Evaluation:
    """Evaluation on ``split`` under a progress bar."""
    parts = track(list(batches(split)), description=what, transient=True, disable=not sys.stdout.isatty())
    return snnconv.evaluate(network, parts, reference=model, simulator=simulator)


def rows(neuron: str, result: snnconv.Evaluation) -> list[list[Any]]:
    """One row for each number of steps in ``MARKS``."""
    assert result.accuracy_by_step is not None and result.reference_accuracy is not None
    assert result.agreement_by_step is not None and result.spikes_by_step is not None
    found: list[list[Any]] = []
    for steps in (mark for mark in MARKS if mark <= result.steps):
        accuracy = result.accuracy_by_step[steps - 1]
        found.append(
            [
                neuron,
                result.samples,
                steps,
                *accuracy_cells(result.reference_accuracy, accuracy, result.samples),
                round(result.agreement_by_step[steps - 1], 2),
                round(result.spikes_by_step[steps - 1] / result.neurons, 3),
            ]
        )
    return found


def run(images: int | None = None) -> None:
    """Measure both neurons and publish the tables ``rate`` and ``rate_cost``; ``images`` limits the test set."""
    model = resnet20(data_file(WEIGHTS_FILE))
    split = cifar10_test(images)
    table: list[list[Any]] = []
    costs: list[list[Any]] = []
    for neuron in NEURONS:
        result = measure(convert(model, neuron), model, split, neuron)
        table += rows(neuron, result)
        e = result.energy
        latencies = [result.latency(loss) for loss in (0.3, 0.5, 1.0)]
        costs.append([neuron, *latencies, result.synops, e.e2, e.e2_reference, e.e3, e.e3_reference])
        publish("rate", "ResNet-20, CIFAR-10, rate code", HEAD, table)
    head = ("neuron", "loss 0.3", "0.5", "1.0", "SynOps", "E2 J", "E2 ANN J", "E3 J", "E3 ANN J")
    publish("rate_cost", f"Latency in steps, and cost of one image after {STEPS} steps", head, costs)
