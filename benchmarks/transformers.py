"""A vision transformer on CIFAR-10 in window codes, beside SpikingJelly's training-free approximation of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch

import snnconv
from benchmarks.codes import CodeSetting, CodeTables, TrainedTask, chosen_of, first
from benchmarks.datasets import cifar10_test, cifar10_train, data_file
from benchmarks.peer_imports import PeerMissing, peer_version
from benchmarks.rate import CALIBRATION_IMAGES, measure
from benchmarks.results import note, publish
from benchmarks.small_efficientnet import PIXELS
from benchmarks.small_vit import WEIGHTS_FILE, SmallViT, small_vit
from benchmarks.sta_peer import SpatioTemporalApproximation
from coding import FewSpike, OneSpike, Phase, TableSpike

SETTINGS = (
    CodeSetting("default", None),
    CodeSetting("FewSpike T=8 k=3", FewSpike(8, spikes=3)),
    CodeSetting("FewSpike T=12 k=4", FewSpike(12, spikes=4)),
    CodeSetting("OneSpike T=24", OneSpike(24)),
    CodeSetting("TableSpike T=24", TableSpike(24)),
    CodeSetting("Phase T=8", Phase(8)),
)
#: Images that the clock computes, too, and those of a comparison with the peer.
CLOCK_IMAGES, PEER_IMAGES = 100, 500
#: Time steps of the peer.
PEER_STEPS = (8, 16, 32)
_PEER_HEAD = (
    *("network", "images", "steps", "accuracy %", "agreement %", "seconds an image", "spikes of an image"),
    *("accumulates", "real-valued MACs", "real-valued functions"),
)


def run(images: int | None = None, rows: Sequence[str] = ("*",)) -> None:
    """Publish the tables ``transformers`` and ``transformers_cost``, and ``transformers_peer`` of a row "STA".

    ``rows`` are patterns of settings, and of "STA".
    """
    model = small_vit(data_file(WEIGHTS_FILE))
    calibration = cifar10_train(CALIBRATION_IMAGES, PIXELS).images
    task = TrainedTask("SmallViT", model, cifar10_test(images, PIXELS), calibration)
    titles = ("A vision transformer: SmallViT", "Cost of one image: SmallViT")
    tables = CodeTables("transformers", titles)
    for setting in chosen_of(SETTINGS, rows):
        network = snnconv.convert(model, calibration, coding=setting.code)
        result = measure(network, model, task.test, task.name, "window")
        few = first(task.test, CLOCK_IMAGES)
        window, clock = (measure(network, model, few, name, name) for name in ("window", "clock"))
        assert window.accuracy is not None and clock.accuracy is not None
        differences = clock.accuracy - window.accuracy, clock.spikes_per_neuron - window.spikes_per_neuron
        tables.add(setting, task, result, differences)
    tables.publish()
    if any(fnmatchcase("STA", pattern) for pattern in rows):
        _beside_peer(model, task)


def _beside_peer(model: SmallViT, task: TrainedTask) -> None:
    """Publish accuracy, time and operations of the default code and of the peer, on the same images in one run."""
    test = first(task.test, PEER_IMAGES)
    with torch.no_grad():
        decisions = model(test.images).argmax(1)

    def shares(found: torch.Tensor) -> list[float]:
        return [round(100 * float((found == wanted).double().mean()), 2) for wanted in (test.labels, decisions)]

    network = snnconv.convert(model, task.calibration)
    started = time.perf_counter()
    found = network(test.images).argmax(1)
    seconds = time.perf_counter() - started
    result = measure(network, model, test, "snnconv", "window")
    table: list[list[Any]] = [
        [
            *("snnconv, default code", len(test.labels), result.steps, *shares(found), seconds / len(test.labels)),
            *(result.spikes_per_neuron * result.neurons, result.synops, 0, 0),
        ]
    ]
    for steps in PEER_STEPS:
        try:
            peer = SpatioTemporalApproximation(model, task.calibration, steps).run(test.images)
        except PeerMissing as error:
            note(f"left out: {error}")
            break
        name = f"SpikingJelly {peer_version('spikingjelly')}, STA"
        table.append(
            [
                *(name, len(test.labels), steps, *shares(peer.scores.argmax(1)), peer.seconds / len(test.labels)),
                *(peer.spikes, peer.accumulates, peer.real_macs, peer.real_functions),
            ]
        )
    publish("transformers_peer", "A vision transformer, beside SpikingJelly", _PEER_HEAD, table)
