"""A network that has learned as a SpikingNetwork: the same spikes and decisions, and everything else unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import snnconv
from coding import BernoulliInput, Draws, EventInput, LatencyInput, RealInput
from hw_export import lava, nir
from hw_export.interop import to_snntorch
from neurons.double_exponential import DoubleExponential
from snnconv import ConfigurationError, InputError, SpikingNetwork
from snnconv.data import load_digits
from snnconv.data.events import Events
from snnconv.learning import (
    EncodedSamples,
    EventSamples,
    GradientRule,
    LatencyEncoder,
    LayeredNetwork,
    LayerSpikes,
    RateEncoder,
    decide_by_count,
    decide_by_first,
    measure,
    spiking_network,
    train,
)

STEPS, LAST = 40, 12
ENCODER = LatencyEncoder(STEPS, LAST)


def learned(
    dtype: torch.dtype = torch.float64, bias: bool = False, sizes: tuple[int, ...] = (16, 12, 8, 4), seed: int = 0
) -> LayeredNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        neuron = DoubleExponential(0.9, 0.85)
        network = LayeredNetwork(sizes, neuron=neuron, bias=bias, weight_offset=3.0).to(dtype)
        for layer in network.linear:
            if layer.bias is not None:
                torch.nn.init.uniform_(layer.bias, -0.05, 0.15)
    return network


def values(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    found = torch.rand(30, 16, generator=generator, dtype=dtype)
    return torch.where(found < 0.3, 0.0, found)


def check_spikes(spiking: SpikingNetwork, inputs: torch.Tensor, layers: list[LayerSpikes]) -> None:
    """All populations fire as the layers did, and the whole part of the output is the count."""
    run = spiking.run(inputs, record=("rasters",))
    for raster, layer in zip(run.rasters.values(), layers, strict=True):
        assert layer.events.detach().any()
        assert torch.equal(raster.to(layer.events.dtype), layer.events.detach())
    assert torch.equal(run.output.floor(), layers[-1].events.detach().sum(0))


@pytest.mark.parametrize("bias", [False, True], ids=["without biases", "with biases"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_clock_fires_the_spikes_that_learning_saw(dtype: torch.dtype, bias: bool, tmp_path: Path) -> None:
    network, images = learned(dtype, bias), values(dtype)
    spiking = spiking_network(network, ENCODER)
    layers = network(ENCODER(images))
    check_spikes(spiking, images, layers)
    spiking.save(tmp_path / "learned.snn")
    check_spikes(snnconv.load(tmp_path / "learned.snn"), images, layers)


def test_a_bias_is_part_of_what_runs() -> None:
    network, images = learned(bias=True), values()
    for layer in network.linear:
        torch.nn.init.constant_(layer.bias, 1.0)
    silence = torch.zeros_like(images)
    layers = network(ENCODER(silence))
    check_spikes(spiking_network(network, ENCODER), silence, layers)
    for layer in network.linear:
        torch.nn.init.zeros_(layer.bias)
    assert not any(layer.events.any() for layer in network(ENCODER(silence)))


@pytest.mark.parametrize("bias", [False, True], ids=["without biases", "with biases"])
def test_evaluation_agrees_with_what_learning_measures(bias: bool, tmp_path: Path) -> None:
    network, images = learned(bias=bias), values()
    labels = torch.arange(30) % 4
    samples = EncodedSamples(images, labels, ENCODER)
    found = measure(network, samples)
    spiking = spiking_network(network, samples)
    whole = snnconv.evaluate(spiking, (images, labels))
    assert sum(whole.spikes.values()) == pytest.approx(found.spikes)
    assert whole.accuracy == pytest.approx(found.by_count)
    until = snnconv.evaluate(spiking, (images, labels), stop=snnconv.FirstSpike())
    assert sum(until.spikes.values()) == pytest.approx(found.necessary_spikes)
    assert until.accuracy == pytest.approx(found.by_first)
    assert whole.energy.e3 > until.energy.e3 > 0.0
    spiking.save(tmp_path / "learned.snn")
    again = snnconv.load(tmp_path / "learned.snn")
    assert torch.equal(again(images), spiking(images))
    assert spiking.report() == again.report()
    assert snnconv.evaluate(again, (images, labels)) == whole
    assert [population.name for population in again.populations.values()] == ["hidden_1", "hidden_2", "output"]
    assert snnconv.spike_statistics(spiking, images)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bias", [False, True], ids=["without biases", "with biases"])
def test_it_decides_as_learning_does_sample_by_sample(seed: int, bias: bool, tmp_path: Path) -> None:
    digits = load_digits().test[0].flatten(1).double()
    network = learned(bias=bias, sizes=(64, 30, 10), seed=seed)
    output = network(ENCODER(digits))[-1]
    fires = output.events.any(0).any(1)
    by_count = decide_by_count(output.events, output.potential)
    by_first = decide_by_first(output.events, output.potential)
    # Where the order of classes broke ties, decisions would be others.
    assert (output.events.sum(0).argmax(1) != by_count)[fires].float().mean() > 0.2
    assert (output.events.max(0).indices.argmin(1) != by_first)[fires].any()

    spiking_network(network, ENCODER).save(tmp_path / "learned.snn")
    spiking = snnconv.load(tmp_path / "learned.snn")
    run = spiking.run(digits, record=("outputs",))
    assert torch.equal(spiking.decide(run.output), torch.where(fires, by_count, -1))
    assert torch.equal(run.outputs[-1], run.output)
    first = spiking.run(digits, stop=snnconv.FirstSpike())
    assert torch.equal(spiking.decide(first.output), torch.where(fires, by_first, -1))
    for steps in (5, 15, 30):
        so_far = output.events[:steps]
        expected = decide_by_count(so_far, output.potential[:steps])
        assert torch.equal(spiking.decide(run.outputs[steps - 1]), torch.where(so_far.any(0).any(1), expected, -1))
    found = measure(network, EncodedSamples(digits, by_count, ENCODER))
    assert snnconv.evaluate(spiking, (digits, by_count)).accuracy == pytest.approx(found.by_count)


def test_trained_biases_and_counts_come_to_the_same_decisions() -> None:
    """Counts of one: nearly all outputs that fire do it once, and what breaks ties decides."""
    digits = load_digits()
    training, test = (
        EncodedSamples(images.flatten(1), labels, ENCODER) for images, labels in (digits.train, digits.test)
    )
    network = learned(torch.float32, bias=True, sizes=(64, 30, 10))
    before = [layer.bias.clone() for layer in network.linear]
    train(network, training, epochs=4, batch=32, optimizer=lambda p: torch.optim.Adam(p, lr=5e-3), seed=0)
    assert all((layer.bias != old).any() for layer, old in zip(network.linear, before, strict=True))
    found, spiking = measure(network, test), spiking_network(network, test)
    images, labels = digits.test[0].flatten(1), digits.test[1]
    layers = network(ENCODER(images))
    check_spikes(spiking, images, layers)
    counts = layers[-1].events.detach().sum(0)
    assert (counts.sort(1).values[:, -1] == counts.sort(1).values[:, -2]).float().mean() > 0.1
    assert found.by_count > 60.0
    assert snnconv.evaluate(spiking, (images, labels)).accuracy == pytest.approx(found.by_count)
    until = snnconv.evaluate(spiking, (images, labels), stop=snnconv.FirstSpike())
    assert until.accuracy == pytest.approx(found.by_first)


def test_a_silent_sample_is_wrong_whatever_its_target() -> None:
    network, images = learned(), values()
    images[:10] = 0.0
    labels = torch.zeros(30, dtype=torch.int64)
    found = measure(network, EncodedSamples(images, labels, ENCODER))
    assert found.silent == pytest.approx(100.0 / 3.0)
    spiking = spiking_network(network, ENCODER)
    assert (spiking.decide(spiking(images))[:10] == -1).all()
    evaluation = snnconv.evaluate(spiking, (images, labels))
    assert evaluation.accuracy == pytest.approx(found.by_count)
    assert evaluation.accuracy_by_step is not None and evaluation.accuracy_by_step[0] == 0.0
    with pytest.raises(InputError, match="targets lie between -1 and -1"):
        snnconv.evaluate(spiking, (images, torch.full((30,), -1)))


def test_it_has_no_original_network() -> None:
    network, images = learned(), values()
    labels = torch.arange(30) % 4
    spiking = spiking_network(network, ENCODER)
    evaluation = snnconv.evaluate(spiking, (images, labels))
    assert evaluation.reference_accuracy is None and evaluation.loss is None
    assert evaluation.agreement is None and evaluation.agreement_by_step is None
    assert evaluation.latency() is None
    assert "no original network" in str(evaluation) and "original network:" not in str(evaluation)
    assert '"reference_accuracy": null' in evaluation.to_json()
    with pytest.raises(ConfigurationError, match="no original network"):
        spiking.reference(images)
    with pytest.raises(ConfigurationError, match="no original network"):
        snnconv.verify(spiking, images)
    beside = snnconv.evaluate(spiking, (images, labels), reference=torch.nn.Linear(16, 4).double())
    assert beside.reference_accuracy is not None and beside.agreement is not None


def test_no_export_knows_its_neurons(tmp_path: Path) -> None:
    spiking = spiking_network(learned(torch.float32), ENCODER)
    message = "learned through its own spikes cannot be exported.*DoubleExponential"
    with pytest.raises(ConfigurationError, match=message):
        lava.export(spiking, tmp_path / "network.npz")
    with pytest.raises(ConfigurationError, match=message):
        nir.export(spiking, tmp_path / "network.nir")
    with pytest.raises(ConfigurationError, match=message):
        to_snntorch(spiking)


def test_training_on_does_not_change_it() -> None:
    network, images = learned(bias=True), values()
    spiking = spiking_network(network, LatencyInput(LAST), STEPS)
    before = spiking(images)
    with torch.no_grad():
        network.linear[0].weight.zero_()
        network.linear[1].bias.zero_()
    assert torch.equal(spiking(images), before)


def test_what_a_spiking_network_cannot_be_is_refused() -> None:
    network = learned()
    with pytest.raises(ConfigurationError, match="has no spikes"):
        spiking_network(network, RealInput(), STEPS)
    with pytest.raises(ConfigurationError, match=r"fires up to step 24, and steps=10 ends before.*at least 25"):
        spiking_network(network, LatencyInput(24), steps=10)
    assert spiking_network(network, LatencyInput(24), steps=25)
    with pytest.raises(ConfigurationError, match="how many steps"):
        spiking_network(network, LatencyInput(24))
    with pytest.raises(ConfigurationError, match="learned from 40 steps of LatencyEncoder"):
        spiking_network(network, ENCODER, 50)
    with pytest.raises(ConfigurationError, match="15 input neurons, the network 16"):
        spiking_network(network, EncodedSamples(torch.rand(2, 15), torch.zeros(2, dtype=torch.int64), ENCODER))
    with pytest.raises(ConfigurationError, match="one output neuron"):
        spiking_network(learned(sizes=(16, 1)), ENCODER)
    with pytest.raises(ConfigurationError, match="last"):
        LatencyInput(-1)
    with pytest.raises(ConfigurationError, match=r"\[N, classes\]"):
        snnconv.FirstSpike()(torch.zeros(3), 1)


class EarlyEncoder(LatencyEncoder):
    """Inherits from a known encoder and fires otherwise."""

    def __call__(self, values: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        return super().__call__(values.sqrt(), generator)


def test_spikes_of_an_own_encoder_are_taken_as_events(tmp_path: Path) -> None:
    network, images, encoder = learned(bias=True), values(), EarlyEncoder(STEPS, LAST)
    with pytest.raises(ConfigurationError, match=r"EarlyEncoder has no input code.*EventInput"):
        spiking_network(network, encoder)
    events = encoder(images)
    spiking_network(network, EventInput(), STEPS).save(tmp_path / "learned.snn")
    spiking = snnconv.load(tmp_path / "learned.snn")
    check_spikes(spiking, events.transpose(0, 1), network(events))
    run = spiking.run(events.transpose(0, 1))
    assert run.input_spikes == float(events.sum())
    assert next(iter(run.synops.values())) == float(events.sum()) * 12
    # Beyond the last step there are no more input spikes, and before it those so far.
    longer = network(torch.cat([events, torch.zeros_like(events[:5])]))
    assert torch.equal(
        spiking.run(events.transpose(0, 1), steps=STEPS + 5).output.floor(), longer[-1].events.detach().sum(0)
    )
    with pytest.raises(InputError, match="0 and 1"):
        spiking(torch.full((2, STEPS, 16), 0.5, dtype=torch.float64))
    with pytest.raises(InputError):
        spiking(images)
    assert "events" in spiking.report()


def test_recordings_of_events_run_as_they_were_learned_from() -> None:
    generator = torch.Generator().manual_seed(3)

    def drawn(below: int) -> torch.Tensor:
        return torch.randint(below, (200,), generator=generator)

    recordings = [Events(drawn(4), drawn(2), drawn(2), drawn(STEPS * 1000).sort().values, (4, 2)) for _ in range(6)]
    labels = torch.arange(6) % 4
    samples, network = EventSamples(recordings, labels, steps=STEPS), learned(torch.float32)
    events = samples.batch(torch.arange(6), generator)
    spiking = spiking_network(network, samples)
    check_spikes(spiking, events.transpose(0, 1), network(events))
    evaluation = snnconv.evaluate(spiking, (events.transpose(0, 1), labels))
    assert evaluation.accuracy == pytest.approx(measure(network, samples).by_count)


@pytest.mark.parametrize("input", [EventInput(), LatencyInput(), BernoulliInput(), "latency"])
def test_spikes_that_do_not_add_up_to_values_cannot_be_converted_for(input: Any) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    with pytest.raises(ConfigurationError, match="does not add up to the values"):
        snnconv.convert(model, torch.rand(20, 4), coding="rate", input=input)


def test_the_input_code_is_the_encoder() -> None:
    spiking = spiking_network(learned(), ENCODER)
    assert spiking.plan.input == LatencyInput(LAST)
    code, images = spiking.plan.input, values()
    state, steps = code.initial(images), []
    for t in range(STEPS):
        payload, state = code.step(images, state, t, None)
        steps.append(payload)
    assert torch.equal(torch.stack(steps), ENCODER(images))


@pytest.mark.parametrize("last", [None, 10])
def test_rates_are_drawn_with_the_probabilities_of_the_encoder(last: int | None) -> None:
    encoder, images = RateEncoder(STEPS, 0.4, last), values()
    spiking = spiking_network(learned(), encoder)
    code = spiking.plan.input
    assert code == BernoulliInput(0.4, last)
    generator = torch.Generator().manual_seed(5)
    many = images.repeat(200, 1)
    draws = Draws(5, range(len(many)))
    payloads = torch.stack([code.step(many, None, t, draws)[0] for t in range(STEPS)])
    encoded = encoder(many, generator)
    assert torch.equal(payloads.any(1).any(1), encoded.any(1).any(1))
    rates, wanted = (each[: last or STEPS].mean(0).view(200, *images.shape).mean(0) for each in (payloads, encoded))
    assert torch.allclose(rates, wanted, atol=0.06) and torch.allclose(rates, 0.4 * images, atol=0.05)
    assert torch.equal(spiking.run(images, seed=1).output, spiking.run(images, seed=1).output)
    for wrong in ((0.0, None), (1.5, None), (0.2, 0), (0.2, True)):
        with pytest.raises(ConfigurationError, match="BernoulliInput"):
            BernoulliInput(*wrong)


def test_the_rule_is_no_part_of_it() -> None:
    network = learned()
    network.rule = GradientRule("timing")
    assert spiking_network(network, ENCODER).like.dtype == torch.float64
