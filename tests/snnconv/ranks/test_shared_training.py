"""Trainings that ranks share: the same weights and records, to the bit, for one, two and three of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import snnconv
from neurons import DoubleExponential
from snnconv import learning
from snnconv.detection import draw_shapes, load_darknet, train_detector
from snnconv.progress import Progress
from snnconv.ranks import ALONE, Ranks
from snnconv.simulators import CrossbarNoise
from snnconv.tuning import ShiftAndFlip
from tests.snnconv.tuning.tuned_networks import disturbed, images
from tests.support.ranked import shared_by

PARTS = 3
DETECTOR = """
[net]
width=64
height=64
channels=3
[convolutional]
batch_normalize=1
filters=8
size=16
stride=16
activation=leaky
[convolutional]
filters=8
size=1
activation=linear
[yolo]
anchors=30,30
num=1
classes=3
"""
#: A training of two epochs: what it comes to.
Training = Callable[[Ranks, Path, Any], tuple[dict[str, Tensor], str]]


def learn(ranks: Ranks, file: Path, progress: Any) -> tuple[dict[str, Tensor], str]:
    torch.manual_seed(0)
    network = learning.LayeredNetwork([6, 8, 3], neuron=DoubleExponential(0.9, 0.9), weight_offset=4.0)
    generator = torch.Generator().manual_seed(1)
    values, labels = torch.rand(24, 6, generator=generator), torch.arange(24) % 3
    samples = learning.EncodedSamples(values, labels, learning.RateEncoder(20, largest=0.6))
    log = learning.train(
        network,
        samples,
        epochs=2,
        batch=8,
        parts=PARTS,
        ranks=ranks,
        validation=samples,
        checkpoint=file,
        progress=progress,
    )
    return network.state_dict(), repr(log.epochs)


def tune(ranks: Ranks, file: Path, progress: Any) -> tuple[dict[str, Tensor], str]:
    tuned = snnconv.tune(
        disturbed(),
        images(30, 1),
        epochs=2,
        batch=10,
        parts=PARTS,
        ranks=ranks,
        augmentation=ShiftAndFlip(1),
        noise=CrossbarNoise(0.05),
        held_out=0.4,
        checkpoint=file,
        progress=progress,
    )
    log = tuned.tuning_log
    assert log is not None
    scales = {node: each.scale for node, each in tuned.populations.items()}
    return {**tuned.constants, **scales}, f"{log.losses} {log.held_out_losses} {log.initial_loss} {log.best_epoch}"


def detect(ranks: Ranks, file: Path, progress: Any) -> tuple[dict[str, Tensor], str]:
    config = file.with_name(f"{file.name}.{ranks.rank}.cfg")
    config.write_text(DETECTOR)
    network = load_darknet(config, seed=1)
    log = train_detector(
        network,
        draw_shapes(12, seed=0),
        epochs=2,
        batch=6,
        parts=PARTS,
        ranks=ranks,
        checkpoint=file,
        progress=progress,
    )
    return network.state_dict(), repr(log.losses)


TRAININGS: dict[str, Training] = {"learning": learn, "tuning": tune, "detector": detect}


def interrupted(training: Training, ranks: Ranks, file: Path) -> None:
    """A training that ends in its second epoch."""

    def stop(found: Progress) -> None:
        if found.what == "training" and found.total is not None and found.done * 4 > found.total * 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training(ranks, file, stop)


def alike(found: tuple[dict[str, Tensor], str], wanted: tuple[dict[str, Tensor], str]) -> bool:
    tensors = all(torch.equal(found[0][name], tensor) for name, tensor in wanted[0].items())
    return tensors and found[0].keys() == wanted[0].keys() and found[1] == wanted[1]


def test_any_number_of_ranks_comes_to_the_same_weights_and_goes_on_from_another(tmp_path: Path) -> None:
    wanted = {name: each(ALONE, tmp_path / f"one {name}", None) for name, each in TRAININGS.items()}

    def two(group: Ranks) -> list[bool]:
        found = []
        for name, each in TRAININGS.items():
            found.append(alike(each(group, tmp_path / f"two {name}", None), wanted[name]))
            interrupted(each, group, tmp_path / f"half {name}")
        return found

    assert shared_by(2, two, tmp_path) == [[True] * len(TRAININGS)] * 2
    for name in TRAININGS:
        (tmp_path / f"one half {name}").write_bytes((tmp_path / f"half {name}").read_bytes())

    def three(group: Ranks) -> list[bool]:
        return [alike(each(group, tmp_path / f"half {name}", None), wanted[name]) for name, each in TRAININGS.items()]

    assert shared_by(3, three, tmp_path) == [[True] * len(TRAININGS)] * 3
    for name, each in TRAININGS.items():
        assert alike(each(ALONE, tmp_path / f"one half {name}", None), wanted[name])


def test_what_ranks_do_not_share_alike_is_refused_before_the_first_step(tmp_path: Path) -> None:
    def other_samples(group: Ranks) -> None:
        snnconv.tune(disturbed(), images(20, seed=group.rank), parts=2, ranks=group)

    def other_settings(group: Ranks) -> None:
        snnconv.tune(disturbed(), images(20, 0), parts=2, epochs=1 + group.rank, ranks=group)

    def other_weights(group: Ranks) -> None:
        torch.manual_seed(group.rank)
        samples = learning.EncodedSamples(torch.rand(4, 6), torch.arange(4) % 3, learning.LatencyEncoder(10, 5))
        samples.values = torch.zeros(4, 6)
        learning.train(learning.LayeredNetwork([6, 3]), samples, epochs=1, batch=4, parts=2, ranks=group)

    def few_parts(group: Ranks) -> None:
        snnconv.tune(disturbed(), images(20, 0), ranks=group)

    for work, said in (
        (
            other_samples,
            "rank 1 has other data or settings than rank 0, and their results would not belong together: data",
        ),
        (other_settings, "setting: rule activation, targets decisions, epochs 2"),
        (other_weights, "rank 1 has other weights than rank 0"),
        (few_parts, "2 processes share every batch by its parts, and parts=1: give parts=2 or more"),
    ):
        assert any(said in each for each in shared_by(2, work, tmp_path))
