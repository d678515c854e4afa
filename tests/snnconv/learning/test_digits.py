"""The whole path on real data: digits learned from latencies, and run as a SpikingNetwork."""

from __future__ import annotations

import pytest
import torch

import snnconv
from benchmarks import antlr
from neurons import DoubleExponential
from snnconv.data import load_digits
from snnconv.learning import (
    EncodedSamples,
    LatencyEncoder,
    LatencyLoss,
    LayeredNetwork,
    measure,
    spiking_network,
    train,
)


@pytest.mark.parametrize("numbers", [["--images", "50001"], ["--judged", "20000"], ["--images", "0"]])
def test_the_benchmark_never_validates_on_what_it_trains_on(
    numbers: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["antlr", *numbers])
    with pytest.raises(SystemExit):
        antlr.main()
    assert "no image may serve both training and validation" in capsys.readouterr().err


@pytest.mark.slow
def test_digits_are_learned_from_first_spikes() -> None:
    """Some seconds on one core; what matters is a silent penalty that outweighs late logits."""
    digits, encoder = load_digits(), LatencyEncoder(60, 24)
    training, test = (
        EncodedSamples(images.flatten(1), labels, encoder) for images, labels in (digits.train, digits.test)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = LayeredNetwork([64, 100, 10], neuron=DoubleExponential(0.95, 0.95), bias=False, weight_offset=3.0)
    log = train(
        network,
        training,
        epochs=12,
        batch=32,
        loss=LatencyLoss(1.0 / 3.0, silent_penalty=2.0),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=5e-3),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.8),
    )
    found = measure(network, test)
    assert found.by_first >= 95.0
    # Spikes become fewer while it learns, and the first output spike comes before the last pixel.
    assert log.epochs[-1].training.spikes < log.epochs[0].training.spikes
    assert found.latency < 24.0 and found.necessary_spikes < found.spikes

    spiking = spiking_network(network, test)
    images, labels = digits.test[0].flatten(1), digits.test[1]
    assert snnconv.evaluate(spiking, (images, labels)).accuracy == pytest.approx(found.by_count)
    evaluation = snnconv.evaluate(spiking, (images, labels), stop=snnconv.FirstSpike())
    assert evaluation.accuracy == pytest.approx(found.by_first)
    assert sum(evaluation.spikes.values()) == pytest.approx(found.necessary_spikes, rel=1e-3)
