"""Window codes beside SpikingJelly's rate code: accuracy, time of an image and spikes, in one run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from benchmarks.codes import CodeSetting, TrainedTask, convert
from benchmarks.cost import BATCH
from benchmarks.datasets import cifar10_test, cifar10_train, data_file
from benchmarks.networks import WEIGHTS_FILE, check_same_function, module_resnet20, resnet20
from benchmarks.peers import CALL_CHOICES, SPIKINGJELLY_BEST, PeerMissing
from benchmarks.rate import CALIBRATION_IMAGES, measure
from benchmarks.results import ACCURACY_HEAD, accuracy_cells, keep, note, publish
from benchmarks.simulation import SpikingModel, fastest_call, simulate
from benchmarks.spikingjelly_peer import SpikingJellyModel
from benchmarks.timing import in_turns
from coding import FewSpike, TableSpike

SETTINGS = (
    CodeSetting("snnconv, FewSpike T=6 k=3", FewSpike(6, spikes=3)),
    CodeSetting("snnconv, TableSpike T=24", TableSpike(24)),
)
PEER_STEPS = 64
HEAD = ("converter", "images", "latency", *ACCURACY_HEAD, "spikes per neuron", "ms an image", "ANN passes", "ratio")


def run(images: int | None = 1000) -> None:
    """Publish the table ``few_spike_peer``; without the peer only our rows, and a line that says so.

    Times are of the first images without counting spikes; ``ratio`` divides by that of the first row.
    """
    model, modules = resnet20(data_file(WEIGHTS_FILE)), module_resnet20(data_file(WEIGHTS_FILE))
    task = TrainedTask("ResNet-20", model, cifar10_test(images), cifar10_train(CALIBRATION_IMAGES).images)
    timed = task.test.images[:BATCH]
    check_same_function(model, modules, timed)
    works: dict[str, Callable[[], object]] = {"forward": partial(model, timed)}
    cells: list[list[Any]] = []
    for setting in SETTINGS:
        network = convert(task, setting)
        ours = measure(network, model, task.test, setting.name)
        assert ours.reference_accuracy is not None and ours.accuracy is not None
        accuracies = accuracy_cells(ours.reference_accuracy, ours.accuracy, ours.samples)
        cells.append([setting.name, ours.samples, ours.steps, *accuracies, round(ours.spikes_per_neuron, 3)])
        works[setting.name] = partial(network, timed)
    title = f"ResNet-20, first {len(task.test.labels)} CIFAR-10 test images"
    keep("few_spike_peer", title, HEAD, [[*row, None, None, None] for row in cells])  # the peer takes long
    try:
        peer = SpikingJellyModel(modules, task.calibration, SPIKINGJELLY_BEST)
        call = fastest_call(peer, timed, CALL_CHOICES)
        found = simulate(
            peer, modules, task.test.images, task.test.labels, (PEER_STEPS,), batch_size=BATCH, steps_per_call=call
        )
        accuracies = accuracy_cells(100 * found.ann_accuracy, 100 * found.accuracy(PEER_STEPS), found.images)
        spikes = round(found.spikes_per_neuron(PEER_STEPS), 3)
        cells.append([found.label, found.images, PEER_STEPS, *accuracies, spikes])
        works[found.label] = partial(_present, peer, timed, call)
    except PeerMissing as missing:
        note(str(missing))
    turns, first = in_turns(works), SETTINGS[0].name
    table = [
        [
            *row,
            round(1e3 * turns.time(row[0]).median / len(timed), 2),
            turns.ratio(row[0], "forward").median,
            turns.ratio(row[0], first).median,
        ]
        for row in cells
    ]
    publish("few_spike_peer", title, HEAD, table)


def _present(peer: SpikingModel, images: Tensor, call: int) -> None:
    peer.reset()
    for _ in range(PEER_STEPS // call):
        peer.advance(images, call)
