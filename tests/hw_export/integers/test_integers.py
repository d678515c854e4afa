"""Integer networks: the numpy reference against the clock simulator."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

import snnconv
from coding import Burst, Concurrent, FewSpike, OneSpike, Pipeline, Rate
from hw_export.explicit.network import explicit
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.quantization import quantize, weight_bits_of, written_out
from hw_export.integers.reference import IntegerRun, pooled, run_reference
from hw_export.integers.simulation import integer_simulation
from neurons import IntegrateFire, SignedIntegrateFire
from snnconv import SpikingNetwork
from tests.support.exported import CODES, NETWORKS, Joint, assembled, converted, images

SAMPLES = 3


@functools.cache
def integer(name: str, code: str) -> IntegerNetwork:
    """The integer network of ``converted(name, code)``; made once for all tests, which only read it."""
    return quantize(converted(name, code), input_bits=9)


def reference(integers: IntegerNetwork, record: bool = True, samples: int = SAMPLES) -> IntegerRun:
    values = {name: taken.taken(images(samples, seed=5).numpy()) for name, taken in integers.inputs.items()}
    return run_reference(integers, values, list(integers.populations) if record else [])


def differences(integers: IntegerNetwork, simulation: SpikingNetwork, found: IntegerRun) -> tuple[int, int]:
    """Payloads of the clock simulator that differ from ``found``, and spikes in all."""
    run = simulation.run(images(SAMPLES, seed=5), simulator="clock", record=["rasters"])
    different = spikes = 0
    for node, quantized in integers.populations.items():
        payloads = run.rasters[simulation.populations[node].name].numpy() / quantized.rule.unit
        start = integers.starts().get(node, 0)
        expected = found.rasters[node].swapaxes(0, 1)
        inside = expected[start : start + len(payloads)]
        assert np.count_nonzero(expected) == np.count_nonzero(inside)
        different += int((np.abs(payloads - inside) > 1e-9).sum())
        spikes += int(np.count_nonzero(inside))
    return different, spikes


@pytest.mark.parametrize("code", ["rate", "few-spike"])
def test_networks_of_mixed_bits_fire_spike_for_spike(code: str) -> None:
    network = converted("residual", code)
    bits = {population.name: 2 + place for place, population in enumerate(network.populations.values())}
    integers = quantize(network, weight_bits=bits)
    different, spikes = differences(integers, integer_simulation(integers), reference(integers))
    assert different == 0 and spikes > 0


def test_a_star_gives_bits_to_all_that_are_not_named() -> None:
    found = written_out(converted("residual", "rate"))
    names = {node: found.name(node) for node in (*found.populations, *found.outputs)}
    first = next(iter(names.values()))
    assert weight_bits_of(found, {"*": 3, first: 6}) == {
        node: 6 if name == first else 3 for node, name in names.items()
    }
    assert weight_bits_of(found, {first: 6}) == {node: 6 if name == first else 8 for node, name in names.items()}
    assert weight_bits_of(found, {"*": 5}) == weight_bits_of(found, 5)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_reference_fires_spike_for_spike_as_the_clock_simulator(name: str, code: str) -> None:
    integers = integer(name, code)
    simulation, found = integer_simulation(integers), reference(integers)
    different, spikes = differences(integers, simulation, found)
    assert spikes > 100 and different == 0
    outputs = tree_leaves(simulation.run(images(SAMPLES, seed=5), simulator="clock").output)
    if name == "pooled":  # behind the last synapses it takes a log-softmax
        outputs = [outputs[0] - outputs[0].logsumexp(1, keepdim=True)]
    presentations = 1 if simulation.timing is not None else integers.steps
    for (node, output), decoded in zip(integers.outputs.items(), outputs, strict=True):
        step = output.step.reshape(-1, *[1] * (output.offset.ndim - 1))
        read = found.sums[node] * step / presentations + output.offset
        read = read - np.log(np.exp(read).sum(1, keepdims=True)) if name == "pooled" else read
        np.testing.assert_allclose(decoded.numpy(), read, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "neuron",
    [
        lambda code: IntegrateFire(code, reset="zero"),
        lambda code: IntegrateFire(code, reset="zero", initial_potential=0.0),
        lambda code: IntegrateFire(code, initial_potential=0.0),
    ],
)
@pytest.mark.parametrize("code", ["rate", "burst"])
def test_resets_and_initial_potentials_are_kept(code: str, neuron: Any) -> None:
    integers = quantize(converted("residual", code, neuron=neuron))
    different, spikes = differences(integers, integer_simulation(integers), reference(integers))
    assert spikes > 100 and different == 0


@pytest.mark.parametrize(
    ("code", "negative"),
    [
        ("rate", "graded"),
        ("rate", "imbalanced"),
        ("burst", "graded"),
        ("burst", "imbalanced"),
        ("few-spike", "imbalanced"),
    ],
)
def test_spikes_below_zero_are_kept(code: str, negative: Any) -> None:
    integers = quantize(converted("leaky", code, negative=negative))
    found = reference(integers)
    assert min(raster.min() for raster in found.rasters.values()) < 0
    assert differences(integers, integer_simulation(integers), found)[0] == 0


@pytest.mark.parametrize("name", ["residual", "leaky"])
@pytest.mark.parametrize("stride", [1, 3])
def test_early_firing_is_kept(stride: int, name: str) -> None:
    network = assembled(name, coding=OneSpike(8), schedule=Pipeline(stride=stride))
    integers = quantize(network)
    different, spikes = differences(integers, integer_simulation(integers), reference(integers))
    assert spikes > 50 and different == 0


@pytest.mark.parametrize("code", ["few-spike", "one-spike", "phase", "table-spike"])
def test_the_closed_form_of_an_integer_network_is_its_clock(code: str) -> None:
    simulation = integer_simulation(integer("pooled", code))
    x = images(20, seed=9)
    clock, window = (simulation.run(x, simulator=name) for name in ("clock", "window"))
    assert clock.spikes == window.spikes
    torch.testing.assert_close(clock.output, window.output, rtol=0, atol=1e-10)


@pytest.mark.parametrize("per", ["channel", "population"])
@pytest.mark.parametrize("code", ["few-spike", "rate"])
@pytest.mark.parametrize("name", NETWORKS)
def test_integers_change_the_output_little(name: str, code: str, per: Any) -> None:
    network = converted(name, code)
    simulation = integer_simulation(quantize(network, per=per, input_bits=9))
    x = images(50, seed=9)
    exact = tree_leaves(network.reference(x))
    for true, before, after in zip(exact, tree_leaves(network(x)), tree_leaves(simulation(x)), strict=True):
        error, quantized = ((found - true).square().mean().sqrt() for found in (before, after))
        assert quantized < error + (0.1 if per == "channel" else 0.3) * true.std()


@pytest.mark.parametrize("code", ["few-spike", "rate"])
def test_weights_have_eight_bits_and_a_step_of_their_own_in_every_channel(code: str) -> None:
    integers = integer("residual", code)
    for connection in integers.connections:
        assert connection.map.weights.dtype == np.int8
    for target in integers.populations:
        largest = np.max(
            [each.map.by_target(lambda rows: np.abs(rows.astype(int)).max(1)) for each in integers.into(target)], 0
        )
        capped = integers.populations[target].threshold.reshape(-1) == 2**16 - 1
        assert largest.max() <= 127 and (capped | (largest >= 64)).all()


def test_an_integer_network_can_be_stored(tmp_path: Any) -> None:
    simulation = integer_simulation(integer("leaky", "few-spike"))
    simulation.save(tmp_path / "integers.snn")
    x = images(5)
    again = snnconv.load(tmp_path / "integers.snn")
    for one, two in zip(tree_leaves(again(x)), tree_leaves(simulation(x)), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("code", ["few-spike", "rate"])
@pytest.mark.parametrize("name", NETWORKS)
def test_explicit_maps_compute_the_network_they_were_made_of(name: str, code: str) -> None:
    """All activations of the original, layer by layer through the maps alone."""
    network = converted(name, code)
    found, x = explicit(network), images(4, seed=6)
    values = {next(iter(found.inputs)): x.numpy()}
    unshifted = dict(found.currents)
    for node, population in network.populations.items():
        dims = 1 + len(population.shape)
        scale = population.window_scale(dims) if network.timing else population.broadcast_scale(dims)
        shift = (population.broadcast(population.shift, dims) / scale).numpy()
        unshifted[node] = found.currents[node] - shift[0]
    for node in (*found.shapes, *found.outputs):
        if node in found.gates:
            gate = found.gates[node]
            values[node] = pooled(gate, values[gate.source])
            continue
        current = unshifted[node] + sum(each.map.apply(values[each.source]) for each in found.into(node))
        if node in network.populations:
            current = network.populations[node].activation(torch.from_numpy(current)).numpy()
        values[node] = current
    exact = tree_leaves(network.reference(x))
    for node, true in zip(found.outputs, exact, strict=True):
        read = torch.from_numpy(values[node])
        torch.testing.assert_close(torch.log_softmax(read, 1) if name == "pooled" else read, true, rtol=0, atol=1e-9)


def test_skips_are_as_deep_as_their_longest_way() -> None:
    found = explicit(converted("residual", "rate"))
    depths = found.depths()
    assert [depths[node] for node in (*found.shapes, *found.outputs)] == [1, 2, 3, 4]
    assert sorted(depths[each.target] - depths[each.source] for each in found.connections) == [1, 1, 1, 1, 2]


def test_signed_neurons_that_favour_no_sign_meet_thresholds_on_both_sides_alike() -> None:
    network = copy.deepcopy(converted("leaky", "rate", negative="imbalanced"))
    for node, population in network._populations.items():
        assert isinstance(population.neuron, SignedIntegrateFire)
        network._populations[node] = replace(population, neuron=replace(population.neuron, initial_potential=0.0))
    integers = quantize(network)
    assert differences(integers, integer_simulation(integers), reference(integers))[0] == 0


@pytest.mark.parametrize("code", [Rate(), Burst(largest_gain=4), FewSpike(6)], ids=str)
def test_several_inputs_shared_modules_and_silent_channels(code: Any) -> None:
    torch.manual_seed(0)
    joint = Joint().double()
    generator = torch.Generator().manual_seed(1)
    x, y = images(40), torch.randn(40, 5, dtype=torch.float64, generator=generator)
    schedule = Pipeline() if isinstance(code, FewSpike) else Concurrent(16)
    network = snnconv.convert(joint, ((x, y), torch.zeros(40)), coding=code, schedule=schedule)
    integers = quantize(network)
    simulation, few = integer_simulation(integers), (x[:4], y[:4])
    values = {
        name: integers.inputs[name].taken(tensor.numpy()) for name, tensor in zip(integers.inputs, few, strict=True)
    }
    found = run_reference(integers, values, list(integers.populations))
    run = simulation.run(few, simulator="clock", record=["rasters"])
    assert {node: found.spikes[node] for node in integers.populations} == {
        node: int(run.spikes[population.name]) for node, population in simulation.populations.items()
    }
    # The channel that never fires costs the others nothing: its bias needs no more than keeps it silent.
    for node in list(integers.populations)[1:]:
        assert max(int(np.abs(each.map.weights.astype(int)).max()) for each in integers.into(node)) >= 64
    if isinstance(code, FewSpike):  # in streams a whole input is too fine for weights that it shares with spikes
        error = (simulation(x, y) - network(x, y)).square().mean().sqrt()
        assert error < 0.1 * network.reference(x, y).std()
