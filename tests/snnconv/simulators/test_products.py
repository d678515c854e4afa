"""Products of two signals: by parts in the clock, at once in closed form, with the same spikes and costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnconv
from coding import Code, Concurrent, FewSpike, OneSpike, Phase, Pipeline
from coding.plan import as_plan
from snnconv import SpikingNetwork
from snnconv.calibration.assembly import Calibrator, assemble
from snnconv.calibration.options import Options
from snnconv.graph.graph import Ref
from snnconv.metrics.energy_models import ACCUMULATE, ADD, MEMORY, SYNOP
from snnconv.simulators.recorders import SpikeCounter
from snnconv.simulators.window import Window, WindowChunk
from tests.support.pipelines import assert_simulators_agree
from tests.support.products import NETWORKS, product_network

CODES = (FewSpike(5, spikes=3), OneSpike(8), Phase(5, 2.0))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_clock_multiplies_by_parts_what_the_closed_form_multiplies_at_once(name: str) -> None:
    model, x = product_network(name)
    calibrator = Calibrator(model, x, None)
    for code in CODES:
        plan, options = as_plan(code, None, Pipeline()), Options(percentile=100)  # largest values lie on levels
        network = assemble(calibrator.calibrated(plan, options), plan, options)
        assert network.execution_plan.products
        assert_simulators_agree(network, x)
    assert torch.allclose(network.reference(x), model(x), rtol=1e-9, atol=1e-9)


def test_spikes_of_an_input_are_multiplied() -> None:
    model, x = product_network("of the input")
    network = snnconv.convert(model, x, coding="phase", input="phase")
    assert_simulators_agree(network, x)
    assert network.run(x).synops["mul"] > 0 and network.run(x).synops["mul_1"] > 0


class Two(nn.Module):
    """The product of two neurons, weighed by 2."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.last.weight, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(torch.relu(x[:, :1]) * torch.relu(x[:, 1:]))
        return result


def two(code: Code, **options: Any) -> SpikingNetwork:
    """``Two``, with scales of 1 in front of the product under ``Phase(6, 2.0)``."""
    largest = torch.tensor([[63.0, 63.0], [32.0, 0.0]], dtype=torch.float64) / 64
    return snnconv.convert(Two().double(), largest, coding=code, percentile=100, bias_correction=False, **options)


@pytest.mark.parametrize("simulator", ["clock", "window"])
def test_two_neurons_by_hand(simulator: str) -> None:
    """3/4 = 1/2 + 1/4 and 7/8 = 1/2 + 1/4 + 1/8 meet in six pairs, at an element with one synapse behind it."""
    x = torch.tensor([[0.75, 0.875]], dtype=torch.float64)
    network = two(Phase(6, 2.0))
    assert [population.scale.item() for population in network.populations.values()][:2] == [1.0, 1.0]
    run = network.run(x, simulator=simulator, record=["rasters"])
    assert [run.rasters["relu"].flatten().tolist()[:3], run.rasters["relu_1"].flatten().tolist()[:3]] == [
        [0.5, 0.25, 0.0],
        [0.5, 0.25, 0.125],
    ]
    sent = run.rasters["relay"].sum() * network.populations["mul_relay"].scale
    assert 0 < 0.75 * 0.875 - sent.item() < 0.03  # what the relay rounds off
    assert run.output.item() == pytest.approx(2 * sent.item())
    # Each spike arrives at an operand, each pair at the relay, and its spikes at the output.
    assert run.synops == {"relu": 2, "relu_1": 3, "mul": 6, "relay": run.spikes["relay"]}
    assert run.synops_by_layer == {"relu": 0, "relu_1": 0, "mul": 6, "relay": run.spikes["relay"]}


def test_pairs_are_priced_as_an_addition_and_a_wide_read() -> None:
    x = torch.tensor([[0.75, 0.875]], dtype=torch.float64)
    network = two(Phase(6, 2.0))
    found = snnconv.evaluate(network, (x, None))
    a = found.activity
    assert a.pairs == 6 and a.synops == sum(network.run(x).synops.values())
    assert "pairs of spikes at products of two signals, among them: 6" in str(found)
    updates = a.update_words * 2 * MEMORY + a.update_additions * ADD + a.update_multiplications * 3.7e-12
    pair = MEMORY * 65 / 32 + ADD
    input_macs = a.input_macs * (2 * MEMORY + ADD + 3.7e-12)
    e3 = (a.synops - 6) * SYNOP + 6 * pair + updates + a.updates * MEMORY / 32 + input_macs
    assert found.energy.e3 == pytest.approx(e3, rel=1e-12)
    assert found.energy.e2 == pytest.approx(a.synops * ACCUMULATE + a.input_macs * 4.6e-12, rel=1e-12)


def test_a_constant_part_of_an_operand_meets_every_spike_of_the_other_once() -> None:
    class Shifted(Two):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.last(torch.relu(x[:, :1]) * (1.5 - torch.relu(x[:, 1:])))
            return result

    x = torch.tensor([[0.75, 0.0], [0.75, 0.875], [0.0, 0.875]], dtype=torch.float64)
    network = snnconv.convert(Shifted().double(), x, coding=FewSpike(6, 2.0, 3), bias_correction=False)
    for sample in x:
        for simulator in ("clock", "window"):
            run = network.run(sample[None], simulator=simulator)
            assert run.synops["mul"] == run.spikes["relu"] * (1 + run.spikes["relu_1"])


def test_a_matrix_product_counts_pairs_by_element_and_its_macs_stay_those_of_the_original() -> None:
    model, x = product_network("attention", 6)
    network = snnconv.convert(model, x, coding=OneSpike(12))
    run = network.run(x, record=["rasters"])
    fired = {name: (raster != 0).sum(0).double() for name, raster in run.rasters.items()}
    scores, weighed = network.execution_plan.products
    q, k, scored, v = (fired[name] for name in [*fired][:4])
    assert run.synops[weighed] == (scored @ v).sum()
    assert run.synops[scores] == (q @ k).sum()  # the relay of the keys stands behind their transposition
    assert network.synapses.product_macs == 2 * 3 * 3 * 4
    met = [met.unique().tolist() for name, met in network.synapses.meetings.items() if name in network.populations]
    assert met == [[3], [3], [4], [3], [0]]  # queries meet keys, keys queries, scores channels of values, values scores
    assert network.synapses.macs == 3 * 3 * 16 + 2 * 3 * 3 * 4 + 3 * 12


def test_a_stream_refuses_products_with_the_remedy() -> None:
    model, x = product_network("squeeze and excite")
    for options in ({"schedule": Concurrent(16)}, {"coding": "rate"}, {"coding": "burst"}):
        with pytest.raises(
            snnconv.ConfigurationError, match=r"(?s)mul .*multiplies two signals.*schedule=Pipeline\(\)"
        ):
            snnconv.convert(model, x, **{"coding": "phase", **options})
    assert snnconv.convert(model, x, coding="rate", schedule=Pipeline()).has_closed_form


def test_a_product_of_currents_is_refused() -> None:
    model, x = product_network("of products")
    network = snnconv.convert(model, x)
    graph = network.complete_graph()
    outer = graph.nodes["mul_1"].mapped(lambda ref: Ref("mul") if ref.name == "mul_relay" else ref)
    with pytest.raises(snnconv.ConfigurationError, match="mul_1 takes currents of a product"):
        network.with_(graph=replace(graph, nodes={**graph.nodes, "mul_1": outer}))


def test_an_operand_that_never_fires_leaves_the_product_silent() -> None:
    model, x = product_network("silent")
    network = snnconv.convert(model, x, coding=FewSpike(5, spikes=3))
    run = network.run(x, simulator="clock")
    assert run.synops["mul"] == 0 == run.spikes["relu_1"]
    assert torch.allclose(run.output, model.head.bias.expand(len(x), -1))


def test_a_network_without_a_batch_axis_multiplies() -> None:
    class Gram(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 3), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            hidden = torch.relu(self.first(x))
            result: Tensor = self.last(F.linear(hidden, hidden))
            return result

    model = Gram().double().requires_grad_(False)
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    network = snnconv.convert(model, x, coding=FewSpike(8, spikes=3))
    assert network.batch_axis is None
    assert_simulators_agree(network, x)
    assert torch.allclose(network.reference(x), model(x))


@pytest.mark.parametrize("name", NETWORKS)
def test_spikes_are_held_until_the_last_product_that_takes_them_and_no_longer(name: str) -> None:
    """Every source once, and behind its last taker no other takes it, itself or through a gate."""
    model, x = product_network(name)
    network = snnconv.convert(model, x, coding=FewSpike(4))
    plan = network.execution_plan
    released = [source for sources in plan.last_spikes.values() for source in sources]
    assert sorted(released) == sorted({*released}) and plan.multiplied <= {*released}
    order = [node.name for node in plan.step.nodes]
    for taker, sources in plan.last_spikes.items():
        later = {product for product in plan.products if order.index(product) > order.index(taker)}
        assert not any(plan.product_routes[product].candidates & {*sources} for product in later)
    chunk = WindowChunk(Window(network), (x,), 0, [SpikeCounter(network)])
    chunk.run()
    assert not chunk.spikes and not chunk.potentials
