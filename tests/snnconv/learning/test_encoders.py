"""Encoders of values, losses' and networks' bad input."""

from __future__ import annotations

import math

import pytest
import torch

from neurons.double_exponential import DoubleExponential
from snnconv import ConfigurationError, InputError
from snnconv.learning import (
    CountLoss,
    GradientRule,
    LatencyEncoder,
    LatencyLoss,
    LayeredNetwork,
    RateEncoder,
    Spikes,
    SpikeTrainLoss,
)


def test_a_latency_is_the_whole_part_of_what_is_missing_to_one() -> None:
    values = torch.tensor([[0.0, 1e-6, 0.25, 0.5, 0.99, 1.0]], dtype=torch.float64)
    events = LatencyEncoder(300)(values)
    assert events.shape == (300, 1, 6) and events.dtype == torch.float64
    assert events.sum(0).tolist() == [[0, 1, 1, 1, 1, 1]]
    assert (
        events[:, 0, 1:].argmax(0).tolist() == [int(24 * (1 - x)) for x in values[0, 1:].tolist()] == [23, 18, 12, 0, 0]
    )
    assert LatencyEncoder(10, 9)(values)[:, 0, 1:].argmax(0).tolist() == [8, 6, 4, 0, 0]


def test_rates_are_those_of_the_values_and_a_seed_fixes_them() -> None:
    encoder, values = RateEncoder(2000, 0.5, last=1000), torch.tensor([[0.0, 0.5, 1.0]])
    events = encoder(values, torch.Generator().manual_seed(1))
    assert events[1000:].sum() == 0
    assert (events.sum(0) / 1000)[0].tolist() == pytest.approx([0.0, 0.25, 0.5], abs=0.05)
    assert torch.equal(events, encoder(values, torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("values", [torch.tensor([1.5]), torch.tensor([-0.1]), torch.tensor([math.nan])])
def test_values_outside_the_unit_interval_are_refused(values: torch.Tensor) -> None:
    for encoder in (LatencyEncoder(), RateEncoder()):
        with pytest.raises(InputError, match="outside 0 to 1"):
            encoder(values)
        with pytest.raises(InputError, match="int64"):
            encoder(values.long())


def test_settings_out_of_range_are_refused() -> None:
    for make in (
        lambda: LatencyEncoder(24, 24),
        lambda: LatencyEncoder(24, -1),
        lambda: RateEncoder(0),
        lambda: RateEncoder(largest=1.5),
        lambda: RateEncoder(10, last=11),
        lambda: RateEncoder(30, 0.2, last=0),
        lambda: GradientRule("surrogate"),  # type: ignore[arg-type]
        lambda: GradientRule(clamp=0.0),
        lambda: GradientRule(timing_weight=-1.0),
        lambda: DoubleExponential(1.0),
        lambda: DoubleExponential(scale=0.0),
        lambda: LatencyLoss(sharpness=0.0),
        lambda: LatencyLoss(sharpness=math.inf),
        lambda: LatencyLoss(silent_penalty=math.nan),
        lambda: LatencyLoss(silent_penalty=math.inf),
        lambda: CountLoss(target=-1.0),
        lambda: CountLoss(target=math.nan),
        lambda: CountLoss(others=math.inf),
        lambda: SpikeTrainLoss(decay=1.0),
        lambda: SpikeTrainLoss(decay=math.nan),
        lambda: LayeredNetwork([4]),
        lambda: LayeredNetwork([4, 0]),
    ):
        with pytest.raises(ConfigurationError):
            make()


def test_input_spikes_and_targets_that_do_not_fit_are_refused() -> None:
    network, events = LayeredNetwork([4, 3]), torch.zeros(5, 2, 4)
    with pytest.raises(InputError, match=r"\[steps, samples, 4\]"):
        network(events[:, :, :3])
    with pytest.raises(InputError, match="shape"):
        network(events[0])
    with pytest.raises(InputError, match="float64"):
        network(events.double())
    output = Spikes(torch.zeros(5, 2, 3), torch.zeros(5, 2, 3))
    for loss in (LatencyLoss(), CountLoss()):
        with pytest.raises(InputError, match="class 3"):
            loss(output, torch.tensor([0, 3]))
        with pytest.raises(InputError, match="class -1"):
            loss(output, torch.tensor([0, -1]))
        with pytest.raises(InputError, match="2 samples need"):
            loss(output, torch.tensor([0, 1, 2]))
        with pytest.raises(InputError, match="float32"):
            loss(output, torch.zeros(2))
    with pytest.raises(InputError, match="trains"):
        SpikeTrainLoss()(output, torch.zeros(4, 2, 3))
