"""Ours beside SpikingJelly and sinabs: same network, same images, same run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.datasets import cifar10_test, cifar10_train, data_file
from benchmarks.networks import WEIGHTS_FILE, check_same_function, module_resnet20, resnet20
from benchmarks.peers import (
    SINABS_NORMALISED,
    SPIKINGJELLY_BEST,
    PeerMissing,
    PeerResult,
    run_sinabs,
    run_spikingjelly,
)
from benchmarks.rate import CALIBRATION_IMAGES, NEURONS, convert, measure
from benchmarks.results import ACCURACY_HEAD, accuracy_cells, note, publish

MARKS = (8, 16, 32, 64)
HEAD = ("converter", "steps", *ACCURACY_HEAD, "spikes per neuron")


def run(images: int | None = 1000) -> None:
    """Publish the table ``comparison``: accuracy and spikes by steps for ours and the peers.

    Peers get the network rewritten with modules, which they need; ours takes the author's form.
    """
    model, modules = resnet20(data_file(WEIGHTS_FILE)), module_resnet20(data_file(WEIGHTS_FILE))
    split, calibration = cifar10_test(images), cifar10_train(CALIBRATION_IMAGES).images
    check_same_function(model, modules, split.images[:50])
    table: list[list[Any]] = []
    for neuron in NEURONS:
        result = measure(convert(model, neuron, steps=max(MARKS)), model, split, neuron)
        assert result.accuracy_by_step is not None and result.reference_accuracy is not None
        assert result.spikes_by_step is not None
        for steps in MARKS:
            accuracy = result.accuracy_by_step[steps - 1]
            spikes = result.spikes_by_step[steps - 1] / result.neurons
            table.append(_row(f"snnconv, {neuron}", steps, result.reference_accuracy, accuracy, spikes, result.samples))
    title = f"ResNet-20, first {len(split.labels)} CIFAR-10 test images, rate code"
    publish("comparison", title, HEAD, table)
    runs: list[Callable[[], PeerResult]] = [
        lambda: run_spikingjelly(modules, calibration, split.images, split.labels, MARKS, settings=SPIKINGJELLY_BEST),
        lambda: run_sinabs(modules, calibration, split.images, split.labels, MARKS, settings=SINABS_NORMALISED),
    ]
    try:
        for run_peer in runs:
            peer = run_peer()
            table += [_peer_row(peer, steps) for steps in MARKS]
            publish("comparison", title, HEAD, table)  # after each, so that an interruption loses little
    except PeerMissing as missing:
        note(str(missing))


def _peer_row(peer: PeerResult, steps: int) -> list[Any]:
    accuracy = 100 * peer.accuracy(steps)
    return _row(peer.label, steps, 100 * peer.ann_accuracy, accuracy, peer.spikes_per_neuron(steps), peer.images)


def _row(label: str, steps: int, reference: float, accuracy: float, spikes: float, images: int) -> list[Any]:
    return [label, steps, *accuracy_cells(reference, accuracy, images), round(spikes, 2)]
