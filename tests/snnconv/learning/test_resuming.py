"""Checkpoints of training: resuming comes to the same weights, and files that were altered are refused."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

from snnconv import StorageError
from snnconv.learning import (
    CountLoss,
    RateEncoder,
    train,
)
from snnconv.progress import Progress
from tests.snnconv.learning.training_runs import (
    falling,
    plateau,
    same,
    sgd,
    small_network,
    small_samples,
    trained,
)
from tests.support.checkpoints import Change, altered
from tests.support.interruption import stopped_at


@pytest.mark.parametrize("step", [0, 4, 11])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": sgd, "scheduler": falling},
        {"scheduler": plateau, "loss": CountLoss()},
        {"validation": small_samples(9, seed=1), "patience": 2},
    ],
    ids=["plain", "sgd, schedule", "plateau, count", "validation"],
)
def test_an_interrupted_training_comes_to_the_same_weights(tmp_path: Path, step: int, options: dict[str, Any]) -> None:
    path = tmp_path / "run.checkpoint"
    samples = small_samples(encoder=RateEncoder(30, 0.4))
    whole, log = trained(samples, **options)
    resumed_from = min(step // 3, len(log.epochs))
    with contextlib.suppress(KeyboardInterrupt):
        trained(samples, checkpoint=path, progress=stopped_at(step), **options)
    network, resumed = trained(samples, checkpoint=path, **options)
    assert resumed.resumed == resumed_from and resumed.epochs == log.epochs
    assert same(network, whole)


@pytest.mark.parametrize("step", [1, 4])
def test_the_same_network_goes_on_after_an_interruption(tmp_path: Path, step: int) -> None:
    """Its weights have moved on since the file was written; those of the file count."""
    whole, log = trained(seed=1)
    network, path = small_network(), tmp_path / "run.checkpoint"
    options: dict[str, Any] = {"epochs": 4, "batch": 8, "seed": 1, "checkpoint": path}
    with pytest.raises(KeyboardInterrupt):
        train(network, small_samples(), progress=stopped_at(step), **options)
    resumed = train(network, small_samples(), **options)
    assert resumed.resumed == step // 3 and resumed.epochs == log.epochs and same(network, whole)


@pytest.mark.parametrize("step", [1, 4])
def test_a_network_with_other_weights_at_the_start_goes_on_with_those_of_the_file(tmp_path: Path, step: int) -> None:
    whole, log = trained()
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=path, progress=stopped_at(step))
    other = small_network(seed=9, weight_offset=0.0)
    resumed = train(other, small_samples(), epochs=4, batch=8, checkpoint=path)
    assert resumed.epochs == log.epochs and same(other, whole)


def adafactor(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adafactor(parameters, lr=0.05)


def adagrad(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adagrad(parameters, lr=0.05)


@pytest.mark.parametrize("make", [adafactor, adagrad, sgd])
def test_what_an_optimiser_keeps_is_read_back_whatever_its_shape(tmp_path: Path, make: Any) -> None:
    whole, log = trained(optimizer=make)
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        trained(optimizer=make, checkpoint=path, progress=stopped_at(7))
    if make is adafactor:
        with safetensors.safe_open(path, framework="pt") as file:
            assert file.get_tensor("optimizer.0.row_var").shape == (12, 1), "another shape than the weights' [12, 9]"
    network, resumed = trained(optimizer=make, checkpoint=path)
    assert resumed.resumed == 2 and resumed.epochs == log.epochs and same(network, whole)


@pytest.mark.parametrize("options", [{}, {"scheduler": falling}, {"validation": small_samples(9, seed=1)}])
def test_a_finished_training_is_extended(tmp_path: Path, options: dict[str, Any]) -> None:
    whole, log = trained(epochs=5, **options)
    path = tmp_path / "run.checkpoint"
    network, _ = trained(epochs=2, checkpoint=path, **options)
    extended = train(network, small_samples(), epochs=5, batch=8, checkpoint=path, **options)
    assert extended.resumed == 2 and extended.epochs == log.epochs and same(network, whole)


def test_fewer_epochs_than_there_are_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    trained(checkpoint=path, epochs=3)
    network = small_network(seed=3)
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(StorageError, match="holds 3 epochs, more than the 2 of epochs=2; ask for 3 or more"):
        train(network, small_samples(), epochs=2, batch=8, checkpoint=path)
    assert all(torch.equal(start[name], tensor) for name, tensor in network.state_dict().items())


def test_a_finished_training_is_read_and_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    network, log = trained(checkpoint=path)
    content = path.read_bytes()
    again, read = trained(checkpoint=path)
    assert same(network, again) and read.epochs == log.epochs and read.resumed == 4
    assert path.read_bytes() == content


def test_a_checkpoint_with_one_bit_flipped_is_refused_wherever_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=path, progress=stopped_at(3))
    sound = path.read_bytes()
    generator = random.Random(0)
    places = [*range(8), *generator.sample(range(8, len(sound)), 40)]
    places += [sound.index(text) for text in (b'"version"', b'\\"loss\\"', b"sha256", b"data_offsets", b"network.")]
    for place in places:
        content = bytearray(sound)
        content[place] ^= 1 << generator.randrange(8)
        path.write_bytes(content)
        with pytest.raises(StorageError):
            trained(checkpoint=path)
    path.write_bytes(sound)
    assert trained(checkpoint=path)[1].resumed == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda content, metadata, tensors: metadata.update(version="99"),
        lambda content, metadata, tensors: metadata.update(format="another"),
        lambda content, metadata, tensors: metadata.pop("manifest"),
        lambda content, metadata, tensors: content.update(records=[1]),
        lambda content, metadata, tensors: content.update(records={}),
        lambda content, metadata, tensors: content.pop("run"),
        lambda content, metadata, tensors: content.update(optimizer={"optimizer.0.exp_avg": "text"}),
        lambda content, metadata, tensors: content.update(optimizer=[]),
        lambda content, metadata, tensors: content["records"][0].pop("loss"),
        lambda content, metadata, tensors: content["records"][0].update(training=0.5),
        lambda content, metadata, tensors: [tensors.pop(name) for name in [*tensors] if name.endswith("0.step")],
        lambda content, metadata, tensors: tensors.pop("network.layers.0.weight"),
        lambda content, metadata, tensors: tensors.update({"network.layers.0.weight": torch.zeros(2)}),
        lambda content, metadata, tensors: tensors.update({"network.layers.0.bias": torch.full((12,), torch.nan)}),
        lambda content, metadata, tensors: tensors.update({"optimizer.99.exp_avg": torch.zeros(())}),
        lambda content, metadata, tensors: tensors.update({"more": torch.zeros(())}),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, change: Change) -> None:
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=path, progress=stopped_at(3))
    altered(path, change)
    with pytest.raises(StorageError):
        trained(checkpoint=path)


def test_a_second_training_with_the_same_checkpoint_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    path, said = tmp_path / "run.checkpoint", []

    def second(found: Progress) -> None:
        with pytest.raises(StorageError, match=r"run\.checkpoint is being written by another process") as error:
            trained(checkpoint=path)
        said.append(error)

    network, _ = trained(checkpoint=path, progress=second)
    assert said and same(network, trained()[0])
    assert list(tmp_path.iterdir()) == [path]


def test_a_truncated_checkpoint_and_a_path_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    trained(checkpoint=path, epochs=1)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StorageError, match="no checkpoint"):
        trained(checkpoint=path)
    with pytest.raises(StorageError, match="cannot be written"):
        trained(checkpoint=tmp_path / "missing" / "run.checkpoint")
