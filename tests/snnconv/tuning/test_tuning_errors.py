"""Tuning: what is refused, and what a failure leaves behind."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import snnconv
from coding import Code, Concurrent, OneSpike, Pipeline, Rate, Schedule
from hw_export.integers.quantization import quantize
from hw_export.integers.simulation import integer_simulation
from snnconv import ConfigurationError, InputError, ModelError, StorageError, tune
from snnconv.tuning import ShiftAndFlip
from tests.snnconv.tuning.tuned_networks import (
    converted,
    images,
    model,
)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"rule": "stdp"}, "rule must be one of activation, timing, antlr"),
        ({"targets": "teacher"}, "targets must be one of"),
        ({"epochs": 0}, "epochs must be an integer of at least 1, got 0"),
        ({"batch": 0}, "batch must be an integer of at least 1, got 0"),
        ({"batch": 10.0}, "batch must be an integer of at least 1, got 10.0"),
        ({"patience": 0}, "patience must be an integer of at least 1, got 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"learning_rate": 0.0}, "learning_rate 0.0"),
        ({"learning_rate": math.nan}, "learning_rate nan"),
        ({"learning_rate": "fast"}, "learning_rate 'fast'.*all must be numbers"),
        ({"held_out": 1.0}, "held_out 1.0"),
        ({"population_weight": -1.0}, "population_weight must be 0 or more"),
        ({"augmentation": lambda values: values[:1], "checkpoint": "run"}, "leave checkpoint out"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        tune(converted(), images(20, 1), **options)


def first_of(values: Tensor) -> Tensor:
    return values[:1]


def nothing_of(values: Tensor) -> None:
    pass


def test_an_augmentation_that_returns_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="augmentation made a NoneType of a tensor"):
        tune(converted(), images(20, 1), augmentation=nothing_of)  # type: ignore[arg-type]


def test_an_integer_simulation_is_refused() -> None:
    simulation = integer_simulation(quantize(converted()))
    with pytest.raises(ConfigurationError, match="tune the network first, then quantize it"):
        tune(simulation, images(20, 1))


def test_a_folder_is_no_checkpoint_and_nothing_to_delete(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written: it is no regular file"):
        tune(converted(), images(20, 1), checkpoint=tmp_path)


def test_an_augmentation_that_changes_the_shape_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="augmentation made"):
        tune(converted(), images(20, 1), augmentation=first_of)
    with pytest.raises(InputError, match=r"takes images \[N, C, H, W\]"):
        ShiftAndFlip()(torch.zeros(3, 4))
    with pytest.raises(ConfigurationError, match="shift is -1"):
        ShiftAndFlip(-1)


@pytest.mark.parametrize(
    ("data", "targets", "what"),
    [
        (torch.zeros(4, 3, 6, 6), "decisions", "input 0 has shape"),
        (torch.zeros(1, 2, 6, 6), "decisions", "there are 1 samples"),
        (torch.full((4, 2, 6, 6), math.nan), "decisions", "NaN"),
        ([], "decisions", "not one batch"),
        (torch.zeros(4, 2, 6, 6), "labels", "without targets"),
        ((torch.zeros(4, 2, 6, 6), torch.tensor([0, 1, 2, 4])), "labels", "between 0 and 4"),
        ((torch.zeros(4, 2, 6, 6), torch.tensor([0, 1, 2])), "labels", r"shape \[3\]"),
        ((torch.zeros(4, 2, 6, 6), torch.zeros(4)), "labels", "class indices"),
    ],
)
def test_data_that_does_not_suit_is_refused(data: Any, targets: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        tune(converted(), data, targets=targets)


@pytest.mark.parametrize(("code", "schedule"), [(Rate(4), Concurrent(4)), (OneSpike(4), Pipeline(stride=2))])
def test_networks_without_a_closed_form_are_refused(code: Code, schedule: Schedule) -> None:
    with pytest.raises(ConfigurationError, match="needs a pipeline whose populations wait"):
        tune(converted(code, schedule), images(20, 1))


@pytest.mark.parametrize("rule", ["timing", "antlr"])
def test_moving_spikes_of_rate_code_is_refused(rule: Any) -> None:
    with pytest.raises(ConfigurationError, match="worth the same whenever it is fired"):
        tune(converted(Rate(4), Pipeline()), images(20, 1), rule=rule)


def test_networks_without_a_batch_axis_are_refused() -> None:
    nodes = torch.randn(6, 5)
    layers = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)).eval()
    network = snnconv.convert(Mixing(layers), nodes, coding=OneSpike(4))
    assert network.batch_axis is None
    with pytest.raises(ConfigurationError, match="batch axis"):
        tune(network, nodes)


def test_a_network_without_parameters_is_refused() -> None:
    class Fixed(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return torch.relu(values - 0.5) * 2.0

    network = snnconv.convert(Fixed().eval(), torch.randn(20, 4), coding=OneSpike(4))
    with pytest.raises(ConfigurationError, match=r"make its weights nn\.Parameter"):
        tune(network, torch.randn(20, 4), targets="outputs")


def test_what_is_no_converted_network_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"tune takes a converted network, got Small: call snnconv.convert"):
        tune(model(), images(20, 1))  # type: ignore[arg-type]


def test_targets_that_need_classes_are_refused_where_there_are_none() -> None:
    one = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).eval()
    network = snnconv.convert(one, torch.randn(30, 3), coding=OneSpike(4))
    with pytest.raises(ConfigurationError, match="tune with targets='outputs'"):
        tune(network, torch.randn(30, 3))
    tune(network, torch.randn(30, 3), targets="outputs", epochs=1)


class Mixing(nn.Module):
    """A network that spreads values over its first axis."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.register_buffer("mixture", torch.ones(6, 6) / 6)

    def forward(self, nodes: Tensor) -> Tensor:
        mixed: Tensor = self.layers(self.mixture @ nodes)
        return mixed


def test_a_loss_that_is_not_finite_names_the_batch() -> None:
    with pytest.raises(ModelError, match="before tuning is not finite"):
        tune(converted(), images(60, 1) * 1e19, targets="outputs")
    with pytest.raises(ModelError, match="not finite in epoch 1, batch 1"):
        tune(converted(), images(60, 1), augmentation=_overflowing)


def test_the_batch_of_a_loss_that_is_not_finite_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with pytest.raises(ModelError, match=r"the batch and the weights are in .*run\.failed"):
        tune(converted(), images(60, 1), augmentation=_overflowing, batch=20, checkpoint=path)
    kept = safetensors.torch.load_file(tmp_path / "run.failed")
    assert kept["inputs 0"].shape == (18, 2, 6, 6) and torch.equal(kept["weight first/weight"], model().first.weight)  # type: ignore[arg-type]


def _overflowing(values: Tensor) -> Tensor:
    return values * 1e30
