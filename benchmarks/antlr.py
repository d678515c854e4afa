"""Learning from spikes on MNIST: the three gradient rules beside each other, and the published network.

``python -m benchmarks antlr`` trains a small form with every rule from three seeds. ``python -m benchmarks.antlr``
trains 784-800-10 over 300 steps with ANTLR; it goes on where an earlier call with the same options stopped, more epochs
behind the last if there are to be more.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, NamedTuple

import torch
from torch import Tensor

import snnconv
from benchmarks.datasets import UNIT_1, mnist_test, mnist_train
from benchmarks.results import FOLDER, keep, note, publish
from neurons.double_exponential import DoubleExponential
from snnconv.learning import (
    CountLoss,
    EncodedSamples,
    GradientRule,
    LatencyEncoder,
    LatencyLoss,
    LayeredNetwork,
    LearningLog,
    Measures,
    SpikeLoss,
    measure,
    train,
)

SEEDS = 3
#: Images of the small form, and of the whole training set.
TRAIN, TEST, WHOLE = 3000, 5000, 60_000


@dataclass(frozen=True)
class GradientSetting:
    """A rule with a loss that it has a gradient for: activation has none for latencies, timing none for counts.

    Chosen on 2,000 other training images: ``rate``, Adam's, of 1e-3 and 3e-3; the wanted count of 1, 2 and 3; ANTLR's
    silent penalty of 0.1 (published), 0.3, 0.5 and 1. Its other loss, counts, came to the accuracy of activation there.
    """

    name: str
    rule: GradientRule
    loss: SpikeLoss
    rate: float


class _Found(NamedTuple):
    """What one training has come to."""

    log: LearningLog
    measures: Measures
    minutes: float


SETTINGS = (
    GradientSetting("activation, count", GradientRule("activation"), CountLoss(2.0), 3e-3),
    GradientSetting("timing, latency", GradientRule("timing", silent_push=100.0), LatencyLoss(), 1e-3),
    GradientSetting("ANTLR, latency", GradientRule("antlr"), LatencyLoss(silent_penalty=0.3), 3e-3),
)
HEAD = (
    "rule",
    "seeds",
    "training images",
    "test images",
    "by first %",
    "deviation",
    "by count %",
    "spikes",
    "necessary spikes",
    "first spike at",
    "silent %",
    "clamped %",
    "minutes",
)


def run(images: int | None = None, steps: int = 100) -> None:
    """Publish the table ``antlr``: means over seeds; ``images`` limits the test images."""
    test = _samples(*mnist_test(TEST if images is None else images, UNIT_1), steps)
    training = _samples(*mnist_train(TRAIN, UNIT_1), steps)
    title = f"MNIST, 784-200-10, {steps} steps"
    found: dict[str, list[_Found]] = {setting.name: [] for setting in SETTINGS}
    table: list[list[Any]] = []
    for seed in range(SEEDS):
        for setting in SETTINGS:
            found[setting.name].append(_trained(setting, training, test, seed))
            table = [_row(name, len(training.labels), runs) for name, runs in found.items() if runs]
            note(f"{setting.name}, seed {seed}: {found[setting.name][-1].measures}")
            keep("antlr", title, HEAD, table)
    publish("antlr", title, HEAD, table)


def _samples(images: Tensor, labels: Tensor, steps: int) -> EncodedSamples:
    return EncodedSamples(images.flatten(1), labels, LatencyEncoder(steps))


def _network(sizes: list[int], neuron: DoubleExponential, rule: GradientRule, seed: int) -> LayeredNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LayeredNetwork(sizes, neuron=neuron, rule=rule, weight_offset=1.0)


def _trained(setting: GradientSetting, training: EncodedSamples, test: EncodedSamples, seed: int) -> _Found:
    start = time.monotonic()
    network = _network([784, 200, 10], DoubleExponential(0.97, 0.97), setting.rule, seed)
    log = train(
        network,
        training,
        epochs=8,
        batch=32,
        loss=setting.loss,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=setting.rate),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.8),
        seed=seed,
    )
    return _Found(log, measure(network, test), (time.monotonic() - start) / 60.0)


def _row(name: str, trained: int, found: list[_Found]) -> list[Any]:
    def mean(value: Callable[[Measures], float]) -> float:
        return round(fmean(value(run.measures) for run in found), 2)

    first = [run.measures.by_first for run in found]
    return [
        name,
        len(found),
        trained,
        found[0].measures.samples,
        mean(lambda measures: measures.by_first),
        round(stdev(first), 2) if len(first) > 1 else None,
        mean(lambda measures: measures.by_count),
        mean(lambda measures: measures.spikes),
        mean(lambda measures: measures.necessary_spikes),
        mean(lambda measures: measures.latency),
        mean(lambda measures: measures.silent),
        round(100.0 * fmean(run.log.epochs[-1].clamped for run in found), 2),
        round(fmean(run.minutes for run in found), 2),
    ]


def main() -> None:
    """Train the published network as far as the options say, and keep what it has come to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.antlr", description=__doc__)
    parser.add_argument("--images", type=int, default=50_000, help="training images, the first of the training set")
    parser.add_argument(
        "--judged", type=int, default=10_000, help="images of validation, the last of the training set, and of the test"
    )
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate of Adam; a tenth every 10 epochs")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if min(options.images, options.judged) < 1 or options.images + options.judged > WHOLE:
        parser.error(
            f"--images {options.images} and --judged {options.judged} must be 1 or more, and {WHOLE} together at "
            "most: no image may serve both training and validation"
        )
    images, labels = mnist_train(None, UNIT_1)
    training = _samples(images[: options.images], labels[: options.images], options.steps)
    validation = _samples(images[-options.judged :], labels[-options.judged :], options.steps)
    network = _network([784, 800, 10], DoubleExponential(), GradientRule(), 0).to(options.device)
    FOLDER.mkdir(exist_ok=True)
    # Without the number of epochs, so that a run can be extended.
    name = f"antlr-{options.images}-{options.judged}-{options.steps}-{options.rate}"
    start = time.monotonic()

    def progress(found: snnconv.Progress) -> None:
        if found.done % 100 == 0:
            note(f"step {found.done} of {found.total}, {(time.monotonic() - start) / 60.0:.1f} minutes")

    log = train(
        network,
        training,
        epochs=options.epochs,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=options.rate),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.1),
        validation=validation,
        checkpoint=FOLDER / f"{name}.checkpoint",
        progress=progress,
    )
    # Those of a resumed run are not all in this call.
    minutes = None if log.resumed else round((time.monotonic() - start) / 60.0, 1)
    found = measure(network, _samples(*mnist_test(options.judged, UNIT_1), options.steps))
    head = (
        "network",
        "epochs",
        "training images",
        "by first %",
        "by count %",
        "spikes",
        "necessary spikes",
        "first spike at",
        "minutes",
    )
    row = [
        "784-800-10",
        len(log.epochs),
        options.images,
        *(round(value, 2) for value in (found.by_first, found.by_count, found.spikes, found.necessary_spikes)),
        round(found.latency, 2),
        minutes,
    ]
    publish(name, f"ANTLR on MNIST, {options.steps} steps", head, [row])


if __name__ == "__main__":
    main()
