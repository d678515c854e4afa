"""Energy models against the published table (E1) and against sums by hand (E2, E3)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconv
from coding import Rate
from neurons import SnntorchNeuron
from snnconv.metrics.energy_models import Activity, energy, normalized
from tests.support.networks import draw, make, network_of, prepared

#: Data set, code, spikes (millions), latency, and the energies on TrueNorth and SpiNNaker, in three decimals: all rows
#: that give an energy in the comparison table of T2FSNN (Park, Kim, Na, Yoon; DAC 2020, arXiv 2003.11741).
PUBLISHED = [
    ("CIFAR-10", "rate", 61.949, 10_000, 1.0, 1.0),
    ("CIFAR-10", "phase", 35.196, 1_500, 0.317, 0.418),
    ("CIFAR-10", "burst", 6.920, 1_125, 0.112, 0.112),
    ("CIFAR-10", "T2FSNN", 0.069, 680, 0.041, 0.025),
    ("CIFAR-100", "rate", 81.525, 10_000, 1.0, 1.0),
    ("CIFAR-100", "phase", 258.741, 8_950, 1.807, 2.353),
    ("CIFAR-100", "burst", 25.074, 3_100, 0.309, 0.308),
    ("CIFAR-100", "T2FSNN", 0.084, 680, 0.041, 0.025),
]
RATE = {data: (spikes, latency) for data, code, spikes, latency, *_ in PUBLISHED if code == "rate"}


@pytest.mark.parametrize(("data", "code", "spikes", "latency", "truenorth", "spinnaker"), PUBLISHED)
def test_e1_gives_the_published_energies(
    data: str, code: str, spikes: float, latency: float, truenorth: float, spinnaker: float
) -> None:
    found = normalized(spikes, latency, *RATE[data])
    assert {chip: round(value, 3) for chip, value in found.items()} == {"TrueNorth": truenorth, "SpiNNaker": spinnaker}


def test_e1_of_rate_code_is_one_whatever_its_spikes() -> None:
    # MNIST in the same table: 200 steps of rate code, energy 1 on both chips, spikes not given.
    for spikes in (0.1, 1.0, 7.0):
        assert normalized(spikes, 200, spikes, 200) == {"TrueNorth": 1.0, "SpiNNaker": 1.0}


def test_e1_of_a_run_beside_itself_is_one() -> None:
    _, x = make("deep")
    network = network_of("deep")
    rate = snnconv.evaluate(network, x)
    assert rate.energy.e1 is None
    again = snnconv.evaluate(network, x, rate_reference=rate)
    assert again.energy.e1 == pytest.approx({"TrueNorth": 1.0, "SpiNNaker": 1.0}, rel=1e-12)
    half = snnconv.evaluate(network, x, steps=12, rate_reference=rate)
    share = sum(half.spikes.values()) / sum(rate.spikes.values())
    assert half.energy.e1 == pytest.approx({"TrueNorth": 0.4 * share + 0.3, "SpiNNaker": 0.64 * share + 0.18})


def test_e2_and_e3_are_the_sums_of_their_terms() -> None:
    activity = Activity(
        spikes=10.0,
        latency=4.0,
        synops=100.0,
        pairs=30.0,
        ratio_multiplications=0.0,
        input_macs=20.0,
        analog_macs=7,
        updates=40.0,
        update_words=40.0,
        update_additions=120.0,
        update_multiplications=8.0,
        neurons=10,
        reference_macs=50,
        reference_active_macs=30.0,
    )
    found = energy(activity)
    assert found.e2 == pytest.approx((100 * 0.9 + (20 + 7) * 4.6) * 1e-12, rel=1e-12)
    assert found.e2_reference == pytest.approx(50 * 4.6e-12, rel=1e-12)
    synaptic = 70 * (5.0 * 33 / 32 + 0.9) + 30 * (5.0 * 65 / 32 + 0.9)
    update = 40 * (2 * 5.0 + 3 * 0.9 + 5.0 / 32) + 8 * 3.7
    analog = (20 + 7) * (2 * 5.0 + 0.9 + 3.7)
    assert found.e3 == pytest.approx((synaptic + update + analog) * 1e-12, rel=1e-12)
    assert found.e3_reference == pytest.approx((30 * (2 * 5.0 + 0.9 + 3.7) + 10 * 5.0) * 1e-12, rel=1e-12)


def tiny() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
        model.get_parameter("2.weight").fill_(1.0)
    return model


def test_energy_of_a_tiny_network_counted_by_hand() -> None:
    # Values 1 and 0.5 at scale 1 give 8 and 4 spikes in 8 steps; the third neuron stays silent.
    x = torch.tensor([[1.0, 0.5]], dtype=torch.float64).repeat(10, 1)
    network = snnconv.convert(prepared(tiny), x, coding=Rate(8), percentile=100, normalization="layer")
    result = snnconv.evaluate(network, x)
    assert result.spikes == {"1": 12.0}
    assert result.synops == 24.0
    activity = result.activity
    assert (activity.neurons, activity.latency, activity.updates) == (3, 8.0, 24.0)
    assert (activity.input_macs, activity.reference_macs) == (2 * 3 * 8, 2 * 3 + 3 * 2)
    assert activity.reference_active_macs == pytest.approx(2 * 3 + 3 * 2 * 2 / 3)
    assert result.energy.e2 == pytest.approx((24 * 0.9 + 48 * 4.6) * 1e-12, rel=1e-12)
    assert result.energy.e3 == pytest.approx(
        (24 * (5.0 * 33 / 32 + 0.9) + 24 * (10 + 2.7 + 5.0 / 32) + 48 * 14.6) * 1e-12, rel=1e-12
    )
    assert result.energy.e3_reference == pytest.approx((10 * 14.6 + 3 * 5.0) * 1e-12, rel=1e-12)


def test_a_spiking_input_costs_no_multiplications() -> None:
    _, x = make("perceptron")
    network = snnconv.convert(make("perceptron")[0], x, coding=Rate(8), input="poisson")
    result = snnconv.evaluate(network, x, seed=2)
    assert result.activity.input_macs == 0.0
    assert result.synops == pytest.approx(12 * result.input_spikes + 4 * sum(result.spikes.values()), rel=1e-12)


def test_a_leaky_neuron_pays_for_its_multiplications() -> None:
    snntorch = pytest.importorskip("snntorch")
    neuron = SnntorchNeuron(snntorch.Leaky(beta=0.9, reset_mechanism="subtract"))
    x = draw(20, 6, dtype=torch.float32)
    model = make("perceptron", dtype=torch.float32)[0]
    result = snnconv.evaluate(snnconv.convert(model, x, coding=Rate(8), neuron=neuron), x)
    assert result.activity.update_multiplications == result.activity.updates == 12 * 8
