"""Training of layered networks: that it learns, and says what is wrong."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

from neurons.double_exponential import DoubleExponential
from snnconv import ConfigurationError, InputError, ModelError
from snnconv.learning import (
    EncodedSamples,
    GradientRule,
    LatencyEncoder,
    LayeredNetwork,
    RateEncoder,
    measure,
    train,
)
from tests.snnconv.learning.training_runs import falling, same, sgd, small_network, small_samples, trained


def test_a_network_learns_and_the_records_say_how() -> None:
    network, log = trained(epochs=25, optimizer=lambda p: torch.optim.Adam(p, lr=1e-2))
    assert len(log.epochs) == 25 and log.resumed == 0
    first, last = log.epochs[0], log.epochs[-1]
    assert last.loss < 0.7 * first.loss and last.training.by_first > first.training.by_first
    found = measure(network, small_samples(seed=1))
    assert found.samples == 24 and found.by_first >= 90.0 and found.by_count >= 80.0
    assert 0.0 < found.necessary_spikes <= found.spikes and 0.0 < found.latency < 30.0
    assert all(0.0 <= record.clamped <= 1.0 for record in log.epochs)
    assert any(record.change.created + record.change.removed > 0.0 for record in log.epochs)
    assert [record.epoch for record in log.epochs] == list(range(25))


def test_measures_of_spikes_that_are_known() -> None:
    """One spike a layer and sample, at a time that follows from the weight."""
    network = LayeredNetwork([1, 1, 2], neuron=DoubleExponential(0.0, 0.0), bias=False)
    with torch.no_grad():
        network.linear[0].weight.fill_(1.0)
        network.linear[1].weight.copy_(torch.tensor([[0.5], [1.5]]))
    samples = EncodedSamples(torch.tensor([[0.5], [1.0], [0.0]]), torch.tensor([1, 0, 1]), LatencyEncoder(10, 4))
    found = measure(network, samples)
    assert found.by_first == found.by_count == pytest.approx(100.0 / 3)
    assert found.spikes == found.necessary_spikes == pytest.approx(4.0 / 3)
    assert found.latency == pytest.approx((2 + 0 + 10) / 3) and found.silent == pytest.approx(100.0 / 3)


def test_a_seed_fixes_the_weights_and_leaves_the_random_numbers_of_others_alone() -> None:
    samples = small_samples(encoder=RateEncoder(30, 0.4))
    torch.manual_seed(5)
    network, log = trained(samples, seed=1)
    after = torch.rand(3)
    torch.manual_seed(5)
    small_network()
    assert torch.equal(after, torch.rand(3))
    again, same_log = trained(samples, seed=1)
    assert same(network, again) and log == same_log
    assert not same(network, trained(samples, seed=2)[0])


def test_the_best_epoch_is_kept_and_patience_ends_training() -> None:
    network, log = trained(epochs=30, validation=small_samples(seed=1), patience=3)
    judged = [record.validation.by_first for record in log.epochs if record.validation is not None]
    best = judged.index(max(judged))
    assert len(judged) == len(log.epochs) == min(30, best + 4)
    assert measure(network, small_samples(seed=1)).by_first == max(judged)


def test_a_schedule_moves_once_an_epoch() -> None:
    _, log = trained(optimizer=sgd, scheduler=falling)
    rates = [record.learning_rates[0] for record in log.epochs]
    assert rates == pytest.approx([0.05, 0.05, 0.005, 0.005])


# What goes wrong


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "must be 1 or more"),
        ({"clip": 0.0}, "clip"),
        ({"seed": -1}, "seed"),
        ({"patience": 2}, "validation"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        trained(**options)


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
