"""Checkpoints of training: resuming comes to the same weights, and what is no part of a run is refused."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from snnconv import StorageError
from snnconv.learning import (
    CountLoss,
    RateEncoder,
    train,
)
from tests.snnconv.learning.training_runs import (
    falling,
    plateau,
    same,
    sgd,
    small_network,
    small_samples,
    stopped_at,
    trained,
)


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


def test_a_finished_training_is_read_and_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    network, log = trained(checkpoint=path)
    content = path.read_bytes()
    again, read = trained(checkpoint=path)
    assert same(network, again) and read.epochs == log.epochs and read.resumed == 4
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("options", "differing"),
    [({"seed": 1}, "setting"), ({"optimizer": sgd}, "setting"), ({"samples": small_samples(12)}, "data")],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, options: dict[str, Any], differing: str) -> None:
    path = tmp_path / "run.checkpoint"
    trained(checkpoint=path)
    with pytest.raises(StorageError, match=f"another {differing}"):
        trained(checkpoint=path, **options)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    trained(checkpoint=path)
    other = small_network(seed=3)
    start = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(StorageError, match="another network"):
        train(other, small_samples(), epochs=4, batch=8, checkpoint=path)
    assert all(torch.equal(start[name], tensor) for name, tensor in other.state_dict().items())


def altered(path: Path, change: Any) -> None:
    with safetensors.safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(metadata, tensors)
    path.write_bytes(safetensors.torch.save(tensors, metadata))


def no_loss(metadata: dict[str, str], _: dict[str, Tensor]) -> None:
    records = json.loads(metadata["records"])
    del records[0]["loss"]
    metadata["records"] = json.dumps(records)


@pytest.mark.parametrize(
    "change",
    [
        lambda metadata, tensors: metadata.update(version="99"),
        lambda metadata, tensors: metadata.update(format="another"),
        lambda metadata, tensors: metadata.update(records="[1]"),
        lambda metadata, tensors: metadata.update(records="{"),
        lambda metadata, tensors: metadata.pop("run"),
        lambda metadata, tensors: metadata.update(optimizer='{"optimizer.0.exp_avg": "text"}'),
        no_loss,
        lambda metadata, tensors: tensors.pop("network.layers.0.weight"),
        lambda metadata, tensors: tensors.update({"network.layers.0.weight": torch.zeros(2)}),
        lambda metadata, tensors: tensors.update({"network.layers.0.bias": torch.full((12,), torch.nan)}),
        lambda metadata, tensors: tensors.update({"optimizer.0.exp_avg": torch.zeros(2)}),
        lambda metadata, tensors: tensors.update({"optimizer.99.exp_avg": torch.zeros(())}),
        lambda metadata, tensors: tensors.update({"more": torch.zeros(())}),
    ],
)
def test_a_checkpoint_that_was_altered_is_refused(tmp_path: Path, change: Any) -> None:
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=path, progress=stopped_at(3))
    altered(path, change)
    with pytest.raises(StorageError):
        trained(checkpoint=path)


def test_a_truncated_checkpoint_and_a_path_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    trained(checkpoint=path, epochs=1)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StorageError, match="no checkpoint"):
        trained(checkpoint=path)
    with pytest.raises(StorageError, match="cannot be written"):
        trained(checkpoint=tmp_path / "missing" / "run.checkpoint")
