"""Training of layered networks: that it learns from classes and from trains, and what its records say."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from neurons.double_exponential import DoubleExponential
from snnconv import InputError, StorageError
from snnconv.learning import (
    EncodedSamples,
    LatencyEncoder,
    LayeredNetwork,
    LayerSpikes,
    RateEncoder,
    SpikeTrainLoss,
    TrainSamples,
    measure,
    train,
)
from snnconv.learning.spike_metrics import Tally
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


@pytest.mark.parametrize("first", [1, 9, 23])
def test_measures_of_two_parts_merge_to_those_of_the_whole(first: int) -> None:
    network, samples = small_network(), small_samples()
    one, other = (
        measure(network, EncodedSamples(samples.values[part], samples.labels[part], samples.encoder))
        for part in (slice(first), slice(first, None))
    )
    assert one.merge(other) == other.merge(one) == measure(network, samples)
    unlabelled = replace(one, by_first=math.nan, by_count=math.nan).merge(other)
    assert math.isnan(unlabelled.by_first) and math.isnan(unlabelled.by_count)
    assert unlabelled.spikes == one.merge(other).spikes


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


def test_clipping_is_switched_off() -> None:
    """Gradients of a steep loss are beyond 1e-3, so that clipping there would show."""
    free, _ = trained(clip=None, optimizer=sgd)
    assert same(free, trained(clip=math.inf, optimizer=sgd)[0])
    assert not same(free, trained(clip=1e-3, optimizer=sgd)[0])


def test_the_gradient_mode_of_the_caller_does_not_matter() -> None:
    with torch.no_grad():
        network, _ = trained(epochs=1)
    assert same(network, trained(epochs=1)[0])


def test_arrays_and_lists_are_samples_too() -> None:
    samples = small_samples()
    for labels in (samples.labels.tolist(), samples.labels.numpy(), samples.labels.to(torch.uint8)):
        same_samples = EncodedSamples(samples.values.numpy(), labels, samples.encoder)
        assert torch.equal(same_samples.labels, samples.labels) and same_samples.labels.dtype == torch.int64
        assert same_samples.digest() == samples.digest()


def test_trains_are_learned(tmp_path: Path) -> None:
    """Of three spikes wanted, two come at their very step; without any the loss is 0.26, with two 0.09."""
    generator = torch.Generator().manual_seed(2)
    events = (torch.rand(30, 2, 9, generator=generator) < 0.2).float()
    wanted = torch.zeros(30, 2, 3)
    wanted[12, 0, 0] = wanted[20, 0, 1] = wanted[16, 1, 2] = 1.0
    samples, path = TrainSamples(events, wanted), tmp_path / "run.checkpoint"
    network = small_network()
    options: dict[str, Any] = {
        "loss": SpikeTrainLoss(),
        "optimizer": lambda p: torch.optim.Adam(p, lr=1e-2),
        "epochs": 130,
        "checkpoint": path,
    }
    log = train(network, samples, **options)
    assert log.epochs[-1].loss < 0.1 < log.epochs[0].loss
    assert network(events)[-1].events.nonzero().tolist() == [[12, 0, 0], [16, 1, 2]]
    again = small_network()
    read = train(again, samples, **options)
    assert read.epochs == log.epochs and read.resumed == 130 and same(network, again)
    found = measure(network, samples)
    assert math.isnan(found.by_first) and math.isnan(found.by_count)
    spikes = sum(float(layer.events.detach().sum()) for layer in network(events))
    assert found.samples == 2 and found.spikes == spikes / 2
    with pytest.raises(InputError, match="validation samples need labels"):
        train(network, samples, validation=samples, **options)
    with pytest.raises(StorageError, match="another data"):
        train(network, TrainSamples(events, wanted.flip(0)), **options)


def test_trains_that_do_not_fit_are_refused() -> None:
    events, wanted = torch.zeros(5, 2, 9), torch.zeros(5, 2, 3)
    for first, second, message in (
        (events[0], wanted, "events are"),
        (events, wanted.long(), r"wanted are torch\.int64"),
        (events[:4], wanted, r"\[4, 2\] steps and samples, wanted \[5, 2\]"),
        (events, wanted + 0.5, "other than 0 and 1"),
        (events[:, :0], wanted[:, :0], "not empty"),
    ):
        with pytest.raises(InputError, match=message):
            TrainSamples(first, second)
    with pytest.raises(InputError, match="targets are"):
        trained(TrainSamples(events, wanted[:, :, :2]), loss=SpikeTrainLoss())


def test_labels_are_moved_to_the_network_when_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's device without values stands for an accelerator."""
    devices = []

    class Recording(Tally):
        def add(self, layers: Any, labels: Any) -> None:
            devices.append(labels.device.type)
            self.sums[0] += len(labels)

    def fake(self: LayeredNetwork, events: torch.Tensor) -> list[LayerSpikes]:
        assert events.device == self.linear[0].weight.device
        return []

    samples = small_samples(6)
    monkeypatch.setattr("snnconv.learning.training.Tally", Recording)
    monkeypatch.setattr(LayeredNetwork, "forward", fake)
    measure(LayeredNetwork([9, 3]).to("meta"), samples, batch=4)
    assert devices == ["meta", "meta"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a second device needs an accelerator")
def test_a_network_on_an_accelerator_is_trained_and_judged() -> None:
    network = small_network().cuda()
    log = train(network, small_samples(), epochs=2, batch=8, validation=small_samples(seed=1))
    judged = log.epochs[-1].validation
    assert judged is not None and measure(network, small_samples(seed=1)).samples == 24
