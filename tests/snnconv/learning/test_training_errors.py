"""What training refuses, and what ends it: each error says what is wrong and what to do."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

from snnconv import ConfigurationError, InputError, ModelError
from snnconv.learning import (
    CountLoss,
    EncodedSamples,
    GradientRule,
    LatencyEncoder,
    LayeredNetwork,
    measure,
    train,
)
from tests.snnconv.learning.training_runs import falling, small_network, small_samples, trained


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_numbers_that_are_not_finite_stop_training_and_the_batch_is_kept(tmp_path: Path, number: float) -> None:
    network = small_network()
    with torch.no_grad():
        network.linear[0].weight[0, 0] = number
    with pytest.raises(ModelError, match=r"not finite in epoch 1, batch 1.*pass checkpoint"):
        train(network, small_samples(), epochs=1)
    path = tmp_path / "run.checkpoint"
    with pytest.raises(ModelError, match=r"run\.checkpoint\.failed"):
        train(network, small_samples(), epochs=1, checkpoint=path)
    kept = safetensors.torch.load_file(tmp_path / "run.checkpoint.failed")
    assert kept["events"].shape == (30, 12, 9) and kept["targets"].shape == (12,)
    assert torch.equal(kept["network.layers.1.weight"], network.linear[1].weight)


def silenced(rule: GradientRule) -> LayeredNetwork:
    network = small_network(rule=rule, weight_offset=0.0)
    with torch.no_grad():
        network.linear[1].weight.mul_(0.01)
    return network


def test_a_dead_network_trains_out_of_it(caplog: pytest.LogCaptureFixture) -> None:
    for rule in (GradientRule("antlr"), GradientRule("timing", silent_push=100.0)):
        network = silenced(rule)
        assert measure(network, small_samples()).silent == 100.0
        with caplog.at_level(logging.WARNING):
            log = train(network, small_samples(), epochs=12, batch=8, optimizer=lambda p: torch.optim.Adam(p, lr=2e-2))
        assert log.epochs[0].dead_batches > 0 and log.epochs[-1].dead_batches == 0
        assert "no output neuron fired" in caplog.text
        assert measure(network, small_samples()).silent < 50.0


def test_a_dead_network_that_no_gradient_reaches_is_said() -> None:
    with pytest.raises(ModelError, match=r"no output neuron fired in epoch 1 .*silent_push"):
        train(silenced(GradientRule("timing")), small_samples(), epochs=3)


def test_a_rule_that_a_loss_has_nothing_for_is_said() -> None:
    network = small_network(rule=GradientRule("timing"))
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    message = r"every gradient is zero in epoch 1, though the loss .* 'timing' under CountLoss.*loss on times"
    with pytest.raises(ModelError, match=message):
        train(network, small_samples(), epochs=3, batch=8, loss=CountLoss(), clip=None)
    assert all(torch.equal(start[name], tensor) for name, tensor in network.state_dict().items())


def test_a_loss_of_zero_is_no_error() -> None:
    """An untrained network without a wanted spike has nothing to learn."""
    log = train(silenced(GradientRule("antlr")), small_samples(), epochs=2, loss=CountLoss(target=0.0))
    assert [record.loss for record in log.epochs] == [0.0, 0.0]


def adam(network: LayeredNetwork) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters())


def test_optimisers_and_schedules_that_cannot_be_used_are_refused() -> None:
    other = small_network()
    for options, message in (
        ({"optimizer": torch.optim.LBFGS}, "LBFGS evaluates the loss several times"),
        ({"optimizer": adam(other)}, r"optimizer is a Adam, no function; pass a function .*lambda parameters"),
        ({"optimizer": lambda parameters: None}, "made a NoneType"),
        ({"optimizer": lambda parameters: adam(other)}, "no parameters of the network"),
        ({"scheduler": falling(adam(other))}, r"scheduler is a StepLR, no function; pass a function"),
        ({"scheduler": lambda optimizer: None}, "made no schedule"),
        ({"scheduler": lambda optimizer: falling(adam(other))}, "made no schedule of the optimiser"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            trained(**options)


def test_networks_that_cannot_learn_are_refused() -> None:
    frozen = small_network().requires_grad_(False)
    with pytest.raises(ModelError, match=r"no parameter .*requires_grad_\(\)"):
        train(frozen, small_samples(), epochs=1)
    outside = small_network()
    with torch.inference_mode():
        made = small_network()
        train(outside, small_samples(), epochs=1)  # what was made outside learns inside
    with pytest.raises(ModelError, match=r"made under torch\.inference_mode"):
        train(made, small_samples(), epochs=1)


def test_what_are_no_samples_is_said() -> None:
    values, labels = torch.rand(4, 9), torch.tensor([0, 1, 2, 0])
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(values, labels))
    for samples, kind in (((values, labels), "tuple"), (loader, "DataLoader"), (values, "Tensor")):
        with pytest.raises(InputError, match=rf"samples are a {kind}; pass EncodedSamples\(values, labels, encoder\)"):
            trained(samples)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=rf"samples are a {kind}"):
            measure(small_network(), samples)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=rf"validation are a {kind}"):
            trained(validation=samples)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1, got 0"),
        ({"epochs": 2.5}, "epochs must be an integer of at least 1, got 2.5"),
        ({"seed": 1.5}, "seed must be an integer of at least 0, got 1.5"),
        ({"loss": lambda spikes, targets: spikes.events.sum(0)}, "it must be a tensor of one number"),
        ({"loss": lambda spikes, targets: 0.0}, "the loss made float of a batch"),
        ({"clip": 0.0}, "clip"),
        ({"clip": math.nan}, "clip"),
        ({"seed": -1}, "seed"),
        ({"patience": 2}, "validation"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        trained(**options)


@pytest.mark.parametrize("options", [{"batch": 0}, {"seed": -1}])
def test_numbers_out_of_range_are_refused_when_measuring(options: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="must be an integer"):
        measure(small_network(), small_samples(), **options)


def test_samples_that_do_not_fit_are_refused() -> None:
    encoder = LatencyEncoder(30, 12)
    values, labels = torch.rand(4, 9), torch.tensor([0, 1, 2, 0])
    with pytest.raises(InputError, match="a label is 3"):
        trained(EncodedSamples(values, labels + 1, encoder))
    with pytest.raises(InputError, match="classes count from 0"):
        EncodedSamples(values, labels - 1, encoder)
    with pytest.raises(InputError, match="4 samples need"):
        EncodedSamples(values, labels[:3], encoder)
    with pytest.raises(InputError, match=r"torch\.float32"):
        EncodedSamples(values, labels.float(), encoder)
    with pytest.raises(InputError, match=r"torch\.bool"):
        EncodedSamples(values, labels > 0, encoder)
    with pytest.raises(InputError, match="labels are a list that is no tensor"):
        EncodedSamples(values, ["0", "1", "2", "0"], encoder)
    with pytest.raises(InputError, match=r"uint8; divide"):
        EncodedSamples((255 * values).byte().numpy(), labels, encoder)
    with pytest.raises(InputError, match="outside 0 to 1"):
        EncodedSamples(values + 1.0, labels, encoder)
    with pytest.raises(InputError, match="outside 0 to 1"):
        EncodedSamples(values.index_fill(0, torch.tensor([3]), torch.nan), labels, encoder)
    with pytest.raises(InputError, match="no sample"):
        EncodedSamples(values[:0], labels[:0], encoder)
    with pytest.raises(InputError, match="8 input neurons, the network 9"):
        trained(EncodedSamples(values[:, :8], labels, encoder))
    with pytest.raises(InputError, match="validation"):
        trained(validation=EncodedSamples(values[:, :8], labels, encoder))
