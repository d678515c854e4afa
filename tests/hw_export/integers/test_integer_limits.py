"""What integers can hold: membranes that never leave the worst case, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import snnconv
from coding import TTFS, Burst, Concurrent, FewSpike, OneSpike, Phase, Pipeline, Rate, SpikeInput
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.quantization import quantize
from hw_export.integers.ranges import payloads_of, reaches
from hw_export.integers.reference import run_reference
from hw_export.integers.simulation import integer_simulation
from neurons import IntegrateFire
from neurons.integer_lookup import MEMBRANE_LIMIT
from snnconv import ConfigurationError, SpikingNetwork
from tests.hw_export.integers.test_integers import integer
from tests.support.exported import CODES, NETWORKS, assembled, converted, images


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", NETWORKS)
def test_no_membrane_leaves_the_worst_case(name: str, code: str) -> None:
    integers = integer(name, code)
    bounds = {reach.node: reach for reach in reaches(integers)}
    payloads = payloads_of(integers)
    ((name, taken),) = integers.inputs.items()
    ends = np.where(images(4, seed=3).numpy() > 0, taken.largest, taken.smallest)
    found = run_reference(integers, {name: ends}, list(integers.populations))
    for node in integers.populations:
        assert bounds[node].size <= MEMBRANE_LIMIT
        assert (
            payloads[node].smallest <= found.rasters[node].min() and found.rasters[node].max() <= payloads[node].largest
        )
        lowest, highest = found.potentials[node]
        assert bounds[node].lowest <= lowest and highest <= bounds[node].highest
        sums = found.rasters[node].sum(1)
        assert payloads[node].smallest_sum <= sums.min() and sums.max() <= payloads[node].largest_sum


def test_the_worst_case_is_reached_by_the_input_that_excites_most() -> None:
    # One convolution without borders: the image that agrees with a kernel in sign drives its neuron as far as can be.
    integers = integer("residual", "few-spike")
    reach = next(reach for reach in reaches(integers) if reach.node == next(iter(integers.populations)))
    connection, population = integers.connections[0], integers.populations[reach.node]
    weight = connection.map.weights.astype(np.int64)
    ((name, taken),) = integers.inputs.items()
    tops = np.maximum(weight * taken.largest, weight * taken.smallest).sum((1, 2, 3))
    assert reach.highest <= tops.max() + max(0, population.bias.max())
    picture = np.zeros((1, 2, 8, 8), np.int64)
    picture[:, :, 3:6, 3:6] = np.where(weight[tops.argmax()] > 0, taken.largest, taken.smallest)
    found = run_reference(integers, {name: picture})
    bias = np.broadcast_to(population.bias, (4, 8, 8)).reshape(4, -1)[tops.argmax(), 0]
    assert found.potentials[reach.node][1] == tops.max() + bias <= reach.highest


@pytest.mark.parametrize("code", [OneSpike(8), TTFS(8)], ids=str)
@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_early_firing_keeps_within_the_worst_case_where_spikes_spend_a_bias_before_inhibition_arrives(
    code: Any, slope: float
) -> None:
    layers = [torch.nn.Linear(3, 3), torch.nn.Linear(3, 3), torch.nn.Linear(3, 2)]
    with torch.no_grad():
        layers[0].weight.copy_(torch.eye(3))
        layers[1].weight.copy_(-torch.eye(3))
        layers[0].bias.zero_()
        layers[1].bias.fill_(1.0)
    active = [torch.nn.LeakyReLU(slope) if slope else torch.nn.ReLU() for _ in range(2)]
    model = torch.nn.Sequential(layers[0], active[0], layers[1], active[1], layers[2]).double()
    x = torch.rand(60, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    integers = quantize(snnconv.convert(model, x, coding=code, schedule=Pipeline(stride=1)), input_bits=8)
    ((name, taken),) = integers.inputs.items()
    node, bounds = list(integers.populations)[1], {reach.node: reach for reach in reaches(integers)}
    lowest, highest = run_reference(integers, {name: taken.taken(x.numpy())}).potentials[node]
    assert bounds[node].lowest <= lowest < 0 < highest <= bounds[node].highest


def test_long_streams_cost_bits_of_weights_before_they_are_refused() -> None:
    network = assembled("residual", coding=Burst(largest_gain=8), schedule=Concurrent(128))
    short, long = quantize(network, input_bits=3), quantize(network, input_bits=9)
    assert largest_weight(short, "relu") == 127 and 8 <= largest_weight(long, "relu") < 64
    assert all(reach.lowest >= -MEMBRANE_LIMIT and reach.highest <= MEMBRANE_LIMIT for reach in reaches(long))
    with pytest.raises(
        ConfigurationError, match=r"membranes could overflow 24 bits .*relu from -\d+ to \d+.*fewer steps"
    ):
        quantize(replace_steps(network, 2**18), input_bits=12)


def largest_weight(integers: IntegerNetwork, target: str) -> int:
    return max(int(np.abs(each.map.weights.astype(int)).max()) for each in integers.into(target))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("residual", {}),
        ("residual", {"neuron": lambda code: IntegrateFire(code, reset="zero")}),
        ("residual", {"neuron": lambda code: IntegrateFire(code, initial_potential=0.0)}),
        ("leaky", {"negative": "graded"}),
        ("leaky", {"negative": "imbalanced"}),
    ],
)
def test_membranes_behind_an_input_saturate_and_no_spike_changes(name: str, options: Any) -> None:
    """The reference saturates at 24 bits, the clock does not."""
    integers = quantize(assembled(name, coding=Rate(96), schedule=Concurrent(96), **options), input_bits=14)
    ((source, taken),), first = integers.inputs.items(), next(iter(integers.populations))
    x = images(6, seed=5)
    x[3:] = torch.where(x[3:] > 0, taken.largest, taken.smallest) * taken.step
    found = run_reference(integers, {source: taken.taken(x.numpy())}, list(integers.populations))
    lowest, highest = found.potentials[first]
    assert MEMBRANE_LIMIT in (-lowest, highest)
    simulation = integer_simulation(integers)
    run = simulation.run(x, simulator="clock", record=["rasters"])
    for node, quantized in integers.populations.items():
        payloads = run.rasters[simulation.populations[node].name].numpy() / quantized.rule.unit
        np.testing.assert_array_equal(np.rint(payloads), found.rasters[node].swapaxes(0, 1))
    reach = next(each for each in reaches(integers) if each.node == first)
    assert -MEMBRANE_LIMIT <= reach.lowest <= lowest and highest <= reach.highest <= MEMBRANE_LIMIT


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (-0.25, 3.0), (-2.0, 0.0), (2.0, 5.0)])
def test_an_input_takes_the_bits_of_the_side_that_calibration_saw(low: float, high: float) -> None:
    x = low + (high - low) * torch.rand(40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x[:, :2] = torch.tensor([low, high])
    layers = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2)).double()
    integers = quantize(snnconv.convert(layers, x, coding=Rate(8), schedule=Concurrent(8)), input_bits=8)
    ((_, taken),) = integers.inputs.items()
    assert taken.bits == 8 and (taken.smallest == 0) == (low >= 0.0) and (taken.largest == 0) == (high <= 0.0)
    assert np.abs(taken.taken(x.numpy()) * taken.step - x.numpy()).max() <= 0.5000001 * taken.step
    assert (taken.smallest - 1) * taken.step < low and (taken.largest + 1) * taken.step > high
    assert (taken.taken(np.array([-9.0, 9.0])) == (taken.smallest, taken.largest)).all()


def replace_steps(network: SpikingNetwork, steps: int) -> SpikingNetwork:
    network.plan = replace(network.plan, schedule=Concurrent(steps))
    return network


REFUSED = {
    "bursts without a bound": (lambda: converted_with(Burst(16)), "give the code a largest_gain"),
    "another gain": (lambda: converted_with(Burst(16, gain=3.0, largest_gain=9)), "gain 2 and an integer largest_gain"),
    "phases in a stream": (lambda: converted_with(Phase(4)), "presents a value over 4 steps"),
    "a spiking input": (
        lambda: assembled("residual", coding=FewSpike(6), input=SpikeInput(OneSpike(6, base=1.5))),
        "a spiking input cannot be exported",
    ),
    "graded spikes in a window": (lambda: converted("leaky", "few-spike", negative="graded"), 'negative="imbalanced"'),
    "corrective neurons": (
        lambda: converted("residual", "rate", neuron="corrective"),
        "CorrectiveIntegrateFire neurons",
    ),
    "an odd initial potential": (
        lambda: converted("residual", "rate", neuron=lambda code: IntegrateFire(code, initial_potential=0.3)),
        "initial potential of 0.3",
    ),
    "an odd slope": (lambda: sloped(0.3), "a slope of 0.3 below zero"),
    "one number a sample": (lambda: summed(), "relu has no axis beside that of the batch: .*keepdim=True"),
}


class OneNumber(torch.nn.Module):
    """A population of one number a sample, between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(4, 5), torch.nn.Linear(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.last(torch.relu(self.first(x).sum(1)).unsqueeze(1))
        return result


def summed() -> SpikingNetwork:
    x = torch.randn(30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return snnconv.convert(OneNumber().double(), x, coding=FewSpike(6))


def converted_with(code: Any) -> SpikingNetwork:
    return assembled("residual", coding=code, schedule=Concurrent(16))


def sloped(slope: float) -> SpikingNetwork:
    layers = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.LeakyReLU(slope), torch.nn.Linear(5, 2)).double()
    x = torch.randn(30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return snnconv.convert(layers, x, coding=Rate(), schedule=Concurrent(16))


@pytest.mark.parametrize("case", REFUSED)
def test_what_integers_cannot_represent_is_refused_with_a_way_out(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(ConfigurationError, match=message):
        quantize(make())


@pytest.mark.parametrize("options", [{"per": "layer"}, {"input_bits": 1}, {"input_bits": 17}, {"input_bits": 7.5}])
def test_options_are_checked(options: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        quantize(converted("residual", "few-spike"), **options)


def test_bits_may_be_an_integer_of_numpy() -> None:
    bits: Any = np.int64(5)
    ((_, taken),) = quantize(converted("residual", "few-spike"), input_bits=bits).inputs.items()
    assert taken.bits == 5


@pytest.mark.parametrize("code", [Rate(), FewSpike(6)], ids=str)
def test_the_worst_case_of_a_matrix_is_that_of_one_neuron(code: Any) -> None:
    layers = torch.nn.Sequential(
        torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 96), torch.nn.Unflatten(1, (2, 8, 6))
    )
    layers = torch.nn.Sequential(layers, torch.nn.ReLU(), torch.nn.Conv2d(2, 1, 1)).double()
    x = torch.randn(30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    schedule = Concurrent(16) if isinstance(code, Rate) else Pipeline()
    integers = quantize(snnconv.convert(layers, x, coding=code, schedule=schedule))
    node = list(integers.populations)[1]
    (connection,) = integers.into(node)
    weights = connection.map.weights.astype(np.int64)
    sent = payloads_of(integers)[connection.source]
    bias = np.broadcast_to(integers.populations[node].bias, (2, 8, 6)).reshape(-1)
    windowed = integers.network.timing is not None
    each = weights.clip(min=0).sum(1) * (sent.largest_sum if windowed else sent.largest) + bias
    start = np.broadcast_to(integers.populations[node].initial, (2, 8, 6)).reshape(-1)
    reach = next(reach for reach in reaches(integers) if reach.node == node)
    assert reach.highest == (start + each if windowed else start + 16 * each.clip(min=0)).max()


def test_a_network_of_integers_is_not_quantized_again() -> None:
    with pytest.raises(ConfigurationError, match="an integer simulation already"):
        quantize(integer_simulation(integer("residual", "few-spike")))


@pytest.mark.parametrize(
    ("end", "message"),
    [(torch.nn.ReLU(), "is the spikes of a population"), (torch.nn.Flatten(0), "no axis beside that of the batch")],
)
def test_outputs_that_cannot_be_read_are_refused(end: torch.nn.Module, message: str) -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 1), end).double()
    x = torch.randn(30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ConfigurationError, match=message):
        quantize(snnconv.convert(layers, x, coding=FewSpike(6)))
