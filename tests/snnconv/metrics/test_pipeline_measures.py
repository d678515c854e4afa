"""What is measured on pipelines: alike by both simulators, and as the rasters say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import snnconv
from coding import TTFS, FewSpike, OneSpike, Phase, Pipeline, Rate
from snnconv.metrics.energy_models import Activity
from tests.support.networks import GraphConvolution, draw, make, prepared, zoo
from tests.support.pipelines import updates_of

NETWORKS = ["deep", "residual", "max pooling", "leaky relu"]


def alike(one: Any, other: Any) -> bool:
    """Equal plain data, numbers up to rounding."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float):
        return one == pytest.approx(other, rel=1e-10)
    return bool(one == other)


def targets_for(model: torch.nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        original = model(x).argmax(1)
    return torch.where(torch.arange(len(x)) % 4 > 0, original, 0)


@pytest.mark.parametrize("given", ["real", Phase(5), TTFS(9, 3.0)])
@pytest.mark.parametrize("name", NETWORKS)
def test_both_simulators_measure_the_same(name: str, given: Any) -> None:
    model, x = make(name)
    data = [(x[:13], targets_for(model, x[:13])), (x[13:], targets_for(model, x[13:]))]
    for code in (FewSpike(), TTFS(12, 3.0), Rate(7)):
        network = zoo(name, coding=code, input=given, schedule=Pipeline())
        rate = snnconv.evaluate(zoo(name, coding=Rate(16)), data)
        clock, window, auto = (
            snnconv.evaluate(network, data, reference=model, simulator=simulator, rate_reference=rate).to_dict()
            for simulator in ("clock", "window", "auto")
        )
        assert alike(clock, window) and auto == window


@pytest.mark.parametrize("simulator", ["clock", "window"])
def test_an_evaluation_counts_what_a_run_counts(simulator: str) -> None:
    model, x = make("residual")
    network = zoo("residual", coding=OneSpike(9))
    run = network.run(x, simulator=simulator)
    targets = targets_for(model, x)
    result = snnconv.evaluate(network, (x, targets), reference=model, simulator=simulator)
    assert result.accuracy_by_step is result.agreement_by_step is result.spikes_by_step is None
    assert result.steps == result.mean_steps == result.activity.latency == 18 == network.timing.latency  # type: ignore[union-attr]
    assert result.accuracy == pytest.approx(100.0 * float((run.output.argmax(1) == targets).double().mean()))
    with torch.no_grad():
        agreeing = run.output.argmax(1) == model(x).argmax(1)
    assert result.agreement == pytest.approx(100.0 * float(agreeing.double().mean()))
    assert result.spikes == pytest.approx({name: count / len(x) for name, count in run.spikes.items()})
    assert result.synops == pytest.approx(sum(run.synops.values()) / len(x))
    assert result.spikes_per_neuron <= 1.0
    updates = sum(updates_of(network, x, simulator).values()) / len(x)
    activity: Activity = result.activity
    assert activity.updates == pytest.approx(updates) and activity.update_multiplications == pytest.approx(updates)
    assert activity.input_macs == network.synapses.input_macs  # an analog input arrives once
    assert result.latency(100.0) == 18 and result.latency(-1.0) is None
    text = str(result)
    assert "18" in text and f"{result.accuracy:.2f}" in text


def test_batches_and_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = make("max pooling")
    network = zoo("max pooling", coding=FewSpike())
    targets = targets_for(model, x)
    whole = snnconv.evaluate(network, (x, targets)).to_dict()
    monkeypatch.setattr("snnconv.data.batches.PIECE", 3)
    assert alike(snnconv.evaluate(network, [(x[:1], targets[:1]), (x[1:], targets[1:])]).to_dict(), whole)


def test_a_network_without_a_batch_axis_is_measured_node_by_node() -> None:
    model = prepared(GraphConvolution)
    parts = [draw(6, 5, seed=seed) for seed in range(5)]
    network = snnconv.convert(model, parts, coding=FewSpike(), bias_correction=False)
    data = [(part, model(part).argmax(1)) for part in parts]
    clock, window = (snnconv.evaluate(network, data, simulator=simulator) for simulator in ("clock", "window"))
    assert alike(clock.to_dict(), window.to_dict())
    assert clock.samples == 5 and clock.judged == 30 and clock.steps == 8


@pytest.mark.parametrize("name", NETWORKS)
def test_verify_tells_the_error_of_the_decoded_rasters(name: str) -> None:
    model, x = make(name)
    for code in (FewSpike(), Rate(9), Phase(6)):
        network = zoo(name, coding=code, schedule=Pipeline(), bias_correction=False, percentile=99.9)
        found = snnconv.verify(network, [x[:7], x[7:]])
        run = network.run(x, simulator="clock", record=["rasters"])
        assert (found.steps, found.samples) == (network.timing.latency, len(x))  # type: ignore[union-attr]
        first = next(iter(network.populations.values()))
        decoded = first.code.decode(run.rasters[first.name]) * first.broadcast_scale(run.rasters[first.name].dim() - 1)
        values = x
        for layer in ("layers.0", "conv1", "bn1", "first"):
            if layer in dict(model.named_modules()):
                values = model.get_submodule(layer)(values)
        wanted = first.activation(values).detach()
        error = found.populations[0]
        assert error.relative == pytest.approx(float((decoded - wanted).norm() / wanted.norm()), rel=1e-9)
        beyond = wanted.clamp(min=0) > first.broadcast_scale(wanted.dim()) * first.code.maximum * (1 + 1e-6)
        assert error.saturated == pytest.approx(float(beyond.double().mean()), abs=0.01) and error.spurious == 0.0
        with torch.no_grad():
            assert found.output == pytest.approx(float((run.output - model(x)).norm() / model(x).norm()), rel=1e-9)


def test_verify_sees_what_longer_windows_repair() -> None:
    errors = []
    for steps in (3, 6, 12):
        found = snnconv.verify(zoo("residual", coding=Phase(steps), schedule=Pipeline(), percentile=100))
        errors.append([*(population.relative for population in found.populations), found.output])
    assert all(few > more > most for few, more, most in zip(*errors, strict=True))
    with pytest.raises(snnconv.ConfigurationError, match="not supported under Pipeline"):
        snnconv.verify(zoo("residual"), steps=5)


def with_value(value: float) -> Tensor:
    x = draw(10, 6)
    x[3, 2] = value
    return x


@pytest.mark.parametrize("given", ["real", "phase"])
@pytest.mark.parametrize("kind", ["NaN", "infinity", "no sample", "single precision"])
def test_input_that_does_not_fit_is_refused(kind: str, given: str) -> None:
    inputs = {
        "NaN": with_value(float("nan")),
        "infinity": with_value(float("inf")),
        "no sample": draw(0, 6),
        "single precision": draw(10, 6).float(),
    }[kind]
    network = zoo("deep", coding=FewSpike(), input=given)
    for simulator in ("clock", "window"):
        with pytest.raises(snnconv.InputError):
            network.run(inputs, simulator=simulator)
        with pytest.raises(snnconv.InputError):
            snnconv.evaluate(network, [inputs], simulator=simulator)


def test_few_spike_code_is_the_default() -> None:
    model, x = make("residual")
    network = snnconv.convert(model, x)
    assert network.plan.hidden == FewSpike() and network.plan.schedule == Pipeline()
    bases = [population.code.base for population in network.populations.values()]  # type: ignore[attr-defined]
    assert all(1.0 < base < 4.0 for base in bases)
    assert all(getattr(p.neuron, "code", None) == p.code for p in network.populations.values())
    error = (network(x) - network.reference(x)).norm() / network.reference(x).norm()
    assert float(error) < 0.1
