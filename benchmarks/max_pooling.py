"""Max pooling on spikes: an MNIST network in rate code, ours beside SpikingJelly's default."""

from __future__ import annotations

from typing import Any

import snnconv
from benchmarks.datasets import mnist_test, mnist_train
from benchmarks.mnist_network import train_mnist_cnn
from benchmarks.peers import SPIKINGJELLY_BEST, SPIKINGJELLY_DEFAULT, PeerMissing, run_spikingjelly
from benchmarks.rate import CALIBRATION_IMAGES, NEURONS, measure
from benchmarks.results import publish
from coding import Rate

MARKS = (16, 32, 64)


def run(images: int | None = None) -> None:
    """Train, measure both neurons on the test images and SpikingJelly on the first 1,000; publish the table."""
    train, test = mnist_train(), mnist_test(images)
    model = train_mnist_cnn(train.images, train.labels)
    calibration = train.images[:CALIBRATION_IMAGES]
    table: list[list[Any]] = []
    for neuron in NEURONS:
        network = snnconv.convert(model, calibration, coding=Rate(max(MARKS)), neuron=neuron)
        result = measure(network, model, test, neuron)
        assert result.accuracy_by_step is not None and result.reference_accuracy is not None
        for steps in MARKS:
            accuracy, reference = result.accuracy_by_step[steps - 1], result.reference_accuracy
            cells = [round(reference, 2), round(accuracy, 2), round(reference - accuracy, 2)]
            table.append([f"snnconv, {neuron}", result.samples, steps, *cells])
    few = mnist_test(1000)
    try:
        for settings in (SPIKINGJELLY_DEFAULT, SPIKINGJELLY_BEST):
            peer = run_spikingjelly(model, calibration, few.images, few.labels, MARKS, settings=settings)
            for steps in MARKS:
                accuracy, reference = 100 * peer.accuracy(steps), 100 * peer.ann_accuracy
                cells = [round(reference, 2), round(accuracy, 2), round(reference - accuracy, 2)]
                table.append([peer.label, peer.images, steps, *cells])
    except PeerMissing as missing:
        table.append([str(missing), 0, 0, None, None, None])
    head = ("converter", "images", "steps", "ANN %", "SNN %", "loss")
    publish("max_pooling", "MNIST CNN with max pooling, rate code", head, table)
