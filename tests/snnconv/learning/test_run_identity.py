"""What tells one run of training from another: only the run that wrote a checkpoint goes on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from neurons.double_exponential import DoubleExponential
from snnconv import ConfigurationError, StorageError
from snnconv.learning import (
    CountLoss,
    GradientRule,
    LatencyEncoder,
    LayeredNetwork,
    Spikes,
    train,
)
from snnconv.learning.run_identity import schedule_text
from tests.snnconv.learning.training_runs import (
    NEURON,
    falling,
    sgd,
    small_network,
    small_samples,
    trained,
)
from tests.support.interruption import stopped_at


@pytest.mark.parametrize(
    ("options", "differing"),
    [({"seed": 1}, "setting"), ({"optimizer": sgd}, "setting"), ({"samples": small_samples(12)}, "data")],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, options: dict[str, Any], differing: str) -> None:
    path = tmp_path / "run.checkpoint"
    trained(checkpoint=path)
    with pytest.raises(StorageError, match=f"another {differing}"):
        trained(checkpoint=path, **options)


def halved(epoch: int) -> float:
    return 0.5**epoch


def kept(epoch: int) -> float:
    return 1.0


def by(factor: Any) -> Any:
    return lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def behind_each_other(factor: Any) -> Any:
    def make(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        parts = [by(factor)(optimizer), torch.optim.lr_scheduler.ConstantLR(optimizer)]
        return torch.optim.lr_scheduler.SequentialLR(optimizer, parts, [2])

    return make


def of_first_layer(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters[:2])


def of_second_layer(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters[2:])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"scheduler": by(kept)}, {"scheduler": by(halved)}),
        ({"scheduler": behind_each_other(kept)}, {"scheduler": behind_each_other(halved)}),
        ({"scheduler": falling}, {"scheduler": None}),
        ({"optimizer": of_first_layer}, {"optimizer": of_second_layer}),
        ({"loss": CountLoss(1.0)}, {"loss": CountLoss(2.0)}),
        ({"clip": 1.0}, {"clip": None}),
    ],
    ids=["lambda", "lambda in a sequence", "no schedule", "parameters", "loss", "clip"],
)
def test_settings_are_told_apart(tmp_path: Path, first: dict[str, Any], second: dict[str, Any]) -> None:
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=path, progress=stopped_at(0), **first)
    with pytest.raises(StorageError, match="another setting"):
        trained(checkpoint=path, **second)
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=path, progress=stopped_at(0), **first)


def squared_count(spikes: Spikes, targets: Tensor) -> Tensor:
    return CountLoss()(spikes, targets)


class Nameless:
    """A loss and an encoder of which only the address in memory is known."""

    steps = 30

    def __call__(self, first: Any, second: Any) -> Tensor:
        return LatencyEncoder(30, 12)(first) if isinstance(first, Tensor) else CountLoss()(first, second)


def test_what_cannot_be_told_from_another_is_refused_with_a_checkpoint_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    trained(checkpoint=path, loss=squared_count, epochs=1)
    assert trained(checkpoint=path, loss=squared_count, epochs=1)[1].resumed == 1
    for what, options in {
        "loss": {"loss": Nameless()},
        "scheduler": {"scheduler": by(lambda epoch: 1.0)},
        "encoder": {"samples": small_samples(encoder=Nameless())},
    }.items():
        with pytest.raises(ConfigurationError, match=f"{what}=.* cannot be recognised .* a run .*leave checkpoint out"):
            trained(checkpoint=tmp_path / what, epochs=1, **options)
        trained(epochs=1, **options)


def test_every_schedule_of_torch_is_described_without_an_address() -> None:
    schedules = torch.optim.lr_scheduler
    for make in (
        lambda optimizer: schedules.MultiStepLR(optimizer, [2, 3]),
        lambda optimizer: schedules.LinearLR(optimizer),
        lambda optimizer: schedules.ExponentialLR(optimizer, 0.9),
        lambda optimizer: schedules.CosineAnnealingLR(optimizer, 10),
        lambda optimizer: schedules.CosineAnnealingWarmRestarts(optimizer, 10),
        lambda optimizer: schedules.PolynomialLR(optimizer),
        lambda optimizer: schedules.CyclicLR(optimizer, 0.01, 0.1),
        lambda optimizer: schedules.OneCycleLR(optimizer, 0.1, total_steps=10),
        lambda optimizer: schedules.MultiplicativeLR(optimizer, halved),
        lambda optimizer: schedules.ReduceLROnPlateau(optimizer),
        lambda optimizer: schedules.ChainedScheduler([by(halved)(optimizer)]),
    ):
        texts = [schedule_text(make(sgd([torch.nn.Parameter(torch.zeros(1))]))) for _ in range(2)]
        assert texts[0] == texts[1] and " at 0x" not in texts[0]


def other_sizes() -> LayeredNetwork:
    return LayeredNetwork([9, 11, 3], neuron=NEURON, weight_offset=2.0)


def one_layer_frozen() -> LayeredNetwork:
    network = small_network()
    network.linear[0].requires_grad_(False)
    return network


@pytest.mark.parametrize(
    "other",
    [
        other_sizes,
        lambda: small_network(bias=False),
        lambda: small_network(rule=GradientRule("timing")),
        lambda: LayeredNetwork([9, 12, 3], neuron=DoubleExponential(0.8, 0.9)),
        one_layer_frozen,
    ],
    ids=["sizes", "bias", "rule", "neuron", "frozen"],
)
def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, other: Any) -> None:
    path = tmp_path / "run.checkpoint"
    trained(checkpoint=path, epochs=1)
    network = other()
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(StorageError, match="another network"):
        train(network, small_samples(), epochs=1, batch=8, checkpoint=path)
    assert all(torch.equal(start[name], tensor) for name, tensor in network.state_dict().items())
