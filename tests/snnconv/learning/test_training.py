"""Training of layered networks: that it learns, and says what is wrong."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

from neurons.double_exponential import DoubleExponential
from snnconv import ConfigurationError, InputError, ModelError, StorageError
from snnconv.learning import (
    CountLoss,
    EncodedSamples,
    GradientRule,
    LatencyEncoder,
    LayeredNetwork,
    LayerSpikes,
    RateEncoder,
    SpikeTrainLoss,
    TrainSamples,
    measure,
    train,
)
from snnconv.learning.measures import Tally
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
    with pytest.raises(InputError, match="validation samples have no labels"):
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
    with torch.inference_mode():
        made = small_network()
        with pytest.raises(ConfigurationError, match="inference_mode"):
            trained()
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
        ({"epochs": 0}, "must be 1 or more"),
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
    with pytest.raises(ConfigurationError, match="must be 1 or more"):
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
