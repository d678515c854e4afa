"""Hybrid coding: input and hidden codes in pairs as the burst paper ran them, beside our best rate code.

The pairs start from an empty membrane and are normalised layer by layer (Park et al. 2019, DAC). Where the paper takes
the largest of all neurons' 99.9th percentiles, these take the 99.9th percentile of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Literal

import snnconv
from benchmarks.datasets import cifar10_test, cifar10_train, data_file
from benchmarks.networks import WEIGHTS_FILE, resnet20
from benchmarks.rate import CALIBRATION_IMAGES, measure
from benchmarks.results import ACCURACY_HEAD, accuracy_cells, keep, note, publish
from coding import Burst, Code, CodingPlan, Concurrent, InputCode, Phase, PoissonInput, Rate, RealInput, SpikeInput
from neurons import IntegrateFire

IMAGES = 300
STEPS = 1024
LOSSES = (0.5, 0.3)
EMPTY = partial(IntegrateFire, initial_potential=0.0)


@dataclass(frozen=True)
class Pair:
    """An input code, a hidden code, and how the network is converted."""

    name: str
    input: InputCode
    hidden: Code
    normalization: Literal["channel", "layer"] = "layer"
    neuron: str | Callable[[Code], IntegrateFire] = EMPTY


PAIRS = (
    Pair("rate-rate, Poisson", PoissonInput(), Rate()),
    Pair("rate-rate, regular", SpikeInput(Rate()), Rate()),
    Pair("phase-rate", SpikeInput(Phase(8)), Rate()),
    Pair("phase-phase", SpikeInput(Phase(8)), Phase(8)),
    Pair("phase-burst, 1/8", SpikeInput(Phase(8)), Burst(threshold=0.125)),
    Pair("burst-phase, 1/8", SpikeInput(Burst(threshold=0.125), every=8), Phase(8)),
    Pair("burst-burst, 1/8", SpikeInput(Burst(threshold=0.125)), Burst(threshold=0.125)),
    Pair("real-rate", RealInput(), Rate()),
    Pair("real-phase", RealInput(), Phase(8)),
    Pair("real-burst, 0.4", RealInput(), Burst(threshold=0.4)),
    Pair("ours: real-rate, corrective, channel-wise", RealInput(), Rate(), "channel", "corrective"),
)
HEAD = (
    "input-hidden",
    "images",
    "steps",
    *ACCURACY_HEAD,
    "agreement %",
    "spikes per neuron",
    *(head for loss in LOSSES for head in (f"steps to {loss}", f"spikes to {loss}")),
)


def run(images: int | None = IMAGES, steps: int = STEPS, rows: Sequence[str] = ("*",)) -> None:
    """Publish the table ``hybrid``: loss after doubling numbers of steps, and when it first stays within ``LOSSES``.

    Only pairs whose name matches one of ``rows``.
    """
    model = resnet20(data_file(WEIGHTS_FILE))
    split, calibration = cifar10_test(images), cifar10_train(CALIBRATION_IMAGES).images
    table: list[list[Any]] = []
    title = f"ResNet-20, first {len(split.labels)} CIFAR-10 test images, up to {steps} steps"
    for pair in (pair for pair in PAIRS if any(fnmatchcase(pair.name, pattern) for pattern in rows)):
        network = snnconv.convert(
            model,
            calibration,
            coding=CodingPlan(pair.hidden, pair.input, schedule=Concurrent(steps)),
            normalization=pair.normalization,
            neuron=pair.neuron,
        )
        table += _rows(pair.name, measure(network, model, split, pair.name))
        note(f"{pair.name}: loss {table[-1][HEAD.index('loss')]} after {steps} steps")
        keep("hybrid", title, HEAD, table)
    publish("hybrid", title, HEAD, table)


def _rows(name: str, result: snnconv.Evaluation) -> list[list[Any]]:
    """A row for every power of two from 64 steps on and for the end, which alone carries the latencies."""
    assert result.accuracy_by_step is not None and result.reference_accuracy is not None
    assert result.agreement_by_step is not None and result.spikes_by_step is not None
    spikes = [count / result.neurons for count in result.spikes_by_step]
    reached: list[Any] = []
    for loss in LOSSES:
        latency = result.latency(loss)
        reached += [latency, None if latency is None else round(spikes[latency - 1], 2)]
    found: list[list[Any]] = []
    for steps in [*(2**power for power in range(6, 16) if 2**power < result.steps), result.steps]:
        found.append(
            [
                name,
                result.samples,
                steps,
                *accuracy_cells(result.reference_accuracy, result.accuracy_by_step[steps - 1], result.samples),
                round(result.agreement_by_step[steps - 1], 2),
                round(spikes[steps - 1], 2),
                *(reached if steps == result.steps else [None] * len(reached)),
            ]
        )
    return found
