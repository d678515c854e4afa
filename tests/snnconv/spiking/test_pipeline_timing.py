"""When populations of a pipeline are active: latency, early firing, and what is not computed."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import TTFS, CodingPlan, Concurrent, FewSpike, OneSpike, Phase, Pipeline, Rate
from neurons import IntegrateFire, SignedIntegrateFire
from snnconv.graph.operators import OPERATORS
from snnconv.simulators import simulator_for
from tests.support.networks import make, network_of, zoo
from tests.support.pipelines import assert_simulators_agree, shaped, updates_of

EPS = 2.0**-44  # the tie tolerance in double precision


def early(model: nn.Module, network: Any, x: Tensor, code: TTFS, stride: int) -> tuple[Tensor, list[Tensor]]:
    """T2FSNN on ``Deep`` as a loop over time: spiking input, windows that overlap, at most one spike per neuron."""
    ((low, high),) = network.input_ranges
    layers = [model.get_submodule(f"layers.{position}") for position in (0, 2, 4)]
    scales = [(high - low).reshape(1), *(population.scale for population in network.populations.values())]
    potentials = [((x - low) / (high - low)).clamp(0, 1)]
    for layer, scale in zip(layers, [*scales[1:], torch.ones(1)], strict=True):
        bias = layer.bias.expand(len(x), -1)
        if layer is layers[0]:
            bias = bias + layer(low.expand(x.shape)) - layer.bias
        potentials.append(bias / scale)
    assert not isinstance(code.tau, str)
    silent = [torch.ones_like(potential) for potential in potentials]
    trains: list[list[Tensor]] = [[], [], []]
    for t in range(2 * stride + code.steps):
        for place, layer in enumerate(layers):
            local = t - place * stride
            if not 0 <= local < code.steps:
                continue
            kernel = math.exp(-(local - code.delay) / code.tau)
            fired = (potentials[place] >= kernel * (1 - EPS)) * silent[place]
            silent[place] -= fired
            trains[place].append(fired * kernel)
            after = scales[place + 1] if place < 2 else torch.ones(1)
            potentials[place + 1] = potentials[place + 1] + (fired * kernel * scales[place]) @ layer.weight.T / after
    return potentials[3], [torch.stack(train) for train in trains[1:]]


@pytest.mark.parametrize("stride", [1, 5, 8, 16])
def test_early_firing_is_a_loop_over_time(stride: int) -> None:
    model, x = make("deep")
    code = TTFS(16, 4.0, 1.0)
    network = zoo("deep", coding=CodingPlan(code, input=code, schedule=Pipeline(stride)), bias_correction=False)
    with torch.no_grad():
        output, trains = early(model, network, x, code, stride)
    run = network.run(x, simulator="clock", record=["rasters"])
    for raster, train in zip(run.rasters.values(), trains, strict=True):
        assert torch.allclose(raster, train, rtol=1e-12, atol=0.0)
    assert torch.allclose(run.output, output, rtol=1e-9, atol=1e-12)
    assert network.timing is not None and network.timing.latency == 2 * stride + 16  # (L - 1) S + T
    assert run.steps.tolist() == [2 * stride + 16] * len(x)


@pytest.mark.parametrize("name", ["residual", "two pools", "shortcut", "leaky pool"])
def test_early_firing_needs_the_clock(name: str) -> None:
    network, x = shaped(name, 10, coding=FewSpike(8, 1.5, 2), schedule=Pipeline(4))
    assert simulator_for(network).name == "clock"
    with pytest.raises(snnconv.ConfigurationError, match=r"wait for their sources to end.*use simulator='clock'"):
        network.run(x, simulator="window")
    run = network.run(x)
    assert torch.equal(run.output, network.run(x, simulator="clock").output)
    whole, _ = shaped(name, 10, coding=FewSpike(8, 1.5, 2))
    assert int(run.steps[0]) < int(whole.run(x).steps[0])


def test_a_stride_of_the_whole_window_is_no_early_firing() -> None:
    _, x = make("residual")
    networks = [zoo("residual", coding=FewSpike(), schedule=Pipeline(stride)) for stride in (None, 8, 20)]
    runs = [assert_simulators_agree(network, x) for network in networks]
    for run in runs[1:]:
        assert torch.equal(run.output, runs[0].output) and torch.equal(run.steps, runs[0].steps)
        assert all(torch.equal(run.rasters[name], runs[0].rasters[name]) for name in run.rasters)


def test_an_analog_input_takes_no_window() -> None:
    _, x = make("deep")
    for given, windows in (("real", 2), (TTFS(9, 3.0), 3), (Phase(9), 3)):
        network = zoo("deep", coding=OneSpike(9), input=given)
        assert network.run(x).steps.tolist() == [9 * windows] * len(x)
        assert f"latency {9 * windows} steps" in network.report()


def test_a_shortcut_waits_in_the_membrane() -> None:
    codes = {"*": FewSpike(6, 1.5, 2), "relu": Rate(3)}
    network, x = shaped("shortcut", 10, coding=codes)
    assert network.timing is not None
    starts = [network.timing.starts[node] for node in network.populations]
    assert starts == [0, 3, 9, 15, 21] and network.timing.latency == 27
    assert [network.timing.listens[node] for node in network.populations] == [0, 3, 6, 6, 6 + 3]
    assert_simulators_agree(network, x)


def test_updates_are_steps_of_listening_and_of_neurons_that_may_still_fire() -> None:
    _, x = make("deep")
    network = zoo("deep", coding=TTFS(12, 3.0))
    rasters = network.run(x, record=["rasters"]).rasters
    for simulator in ("clock", "window"):
        updates = updates_of(network, x, simulator)
        for (name, raster), listens in zip(rasters.items(), (0, 12), strict=True):
            fired = (raster != 0).any(0)
            until = torch.where(fired, (raster != 0).double().argmax(0) + 1, 12)
            assert updates[network.node_of(name)] == int(until.sum()) + listens * fired.numel()


def test_silent_regions_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, ...]] = []
    linear = type(OPERATORS["linear"])
    plain = linear.evaluate

    def counted(self: Any, arguments: Any) -> Any:
        calls.append(tuple(arguments["weight"].shape))
        return plain(self, arguments)

    monkeypatch.setattr(linear, "evaluate", counted)
    _, x = make("deep")
    network = zoo("deep", coding=FewSpike(7, 1.5, 2))
    assert network.synapses.macs > 0  # counted once, by other means
    calls.clear()
    network.run(x, simulator="clock")
    # Once to load what the network adds, and then only while the sources of a layer are in their window.
    assert {shape: calls.count(shape) for shape in set(calls)} == {(16, 6): 1, (16, 16): 1 + 7, (4, 16): 1 + 7}
    calls.clear()
    network.run(x, simulator="window")
    assert sorted(calls) == [(4, 16), (16, 6), (16, 16)]


def test_only_what_spikes_reach_is_live() -> None:
    network, _ = shaped("shortcut", 10, coding=FewSpike(6, 1.5, 2))
    nodes = list(network.populations)
    step = network.execution_plan.live([nodes[1]])
    linears = [node.name for node in step.program.nodes if node.op == "linear"]
    assert step.listening == {nodes[2]} and len(linears) == 1 and step.decoded_nodes == ()
    first = network.execution_plan.live([nodes[0]])
    assert first.listening == {nodes[1], nodes[4]} and len(first.decoded_nodes) == 1
    assert network.execution_plan.live([nodes[1]]) is step


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"steps": 5},
            "steps=5 is not supported under Pipeline.*convert with other codes, or with schedule=Concurrent",
        ),
        ({"stop": snnconv.Confidence(0.5)}, "early stopping needs an output after every step: schedule=Concurrent"),
        ({"record": ["outputs"]}, "a pipeline has no output before its last step: record rasters, or read run.output"),
    ],
)
@pytest.mark.parametrize("simulator", ["auto", "clock", "window"])
def test_what_only_streams_have_is_refused(options: dict[str, Any], message: str, simulator: str) -> None:
    _, x = make("deep")
    network = zoo("deep")
    with pytest.raises(snnconv.ConfigurationError, match=message):
        network.run(x, simulator=simulator, **options)


def test_a_stream_has_no_closed_form() -> None:
    with pytest.raises(snnconv.ConfigurationError, match=r"runs under Concurrent\(steps=24\): use simulator='clock'"):
        network_of("deep").run(make("deep")[1], simulator="window")


def test_a_neuron_without_a_closed_form_takes_the_clock() -> None:
    model, x = make("deep")
    options = {"coding": Rate(8), "schedule": Pipeline()}
    network = snnconv.convert(model, x, neuron=lambda code: IntegrateFire(code, reset="zero"), **options)  # type: ignore[arg-type]
    assert simulator_for(network).name == "clock" and network(x).shape == (40, 4)
    with pytest.raises(snnconv.ConfigurationError, match="neurons with a closed form"):
        network.run(x, simulator="window")
    same = IntegrateFire(Rate(8), initial_potential=0.5)
    assert simulator_for(snnconv.convert(model, x, neuron=lambda code: same, **options)).name == "window"  # type: ignore[arg-type]


@pytest.mark.parametrize("neuron", ["corrective", lambda code: SignedIntegrateFire(code, 0.5)])
def test_a_neuron_that_cannot_wait_is_no_neuron_of_a_pipeline(neuron: Any) -> None:
    model, x = make("deep")
    with pytest.raises(snnconv.ConfigurationError, match=r"layers\.1: .* neurons fire while they integrate"):
        snnconv.convert(model, x, coding=FewSpike(), neuron=neuron)
    assert snnconv.convert(model, x, coding=Rate(4), neuron=neuron).plan.schedule == Concurrent(4)
