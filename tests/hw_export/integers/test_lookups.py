"""Populations that look their spikes up, in integers: the tables, and the reference against both simulators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import snnconv
from coding import FewSpike, FewSpikeNeuron, FunctionTable, OneSpike, Pipeline
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.quantization import quantize
from hw_export.integers.ranges import payloads_of, reaches
from hw_export.integers.reference import run_reference
from hw_export.integers.simulation import integer_simulation
from neurons import TableLookup
from neurons.integer_lookup import MEMBRANE_LIMIT, PLACE_BITS, LookupRule
from snnconv import ConfigurationError, SpikingNetwork
from tests.support.exported import LOOKUPS, assembled, images, looked_up


@functools.cache
def integer(codes: str, per: Any = "channel", **options: Any) -> IntegerNetwork:
    return quantize(looked_up(codes, **options), per=per, input_bits=9)


def differences(
    integers: IntegerNetwork, simulation: SpikingNetwork, simulator: str, inputs: torch.Tensor | None = None
) -> tuple[int, int]:
    """Payloads of the reference that ``simulator`` does not fire, and spikes in all; membranes keep their bounds."""
    x = images(3, seed=5) if inputs is None else inputs
    values = {name: taken.taken(x.numpy()) for name, taken in integers.inputs.items()}
    found = run_reference(integers, values, list(integers.populations))
    run = simulation.run(x, simulator=simulator, record=["rasters"])
    sent, bounds = payloads_of(integers), {reach.node: reach for reach in reaches(integers)}
    different = spikes = 0
    for node, quantized in integers.populations.items():
        payloads = run.rasters[simulation.populations[node].name].numpy() / quantized.rule.unit
        start, raster = integers.starts()[node], found.rasters[node]
        expected = raster.swapaxes(0, 1)[start : start + len(payloads)]
        different += int((np.abs(payloads - expected) > 1e-9).sum())
        spikes += int(np.count_nonzero(raster))
        assert sent[node].smallest <= raster.min() and raster.max() <= sent[node].largest
        assert sent[node].smallest_sum <= raster.sum(1).min() and raster.sum(1).max() <= sent[node].largest_sum
        assert bounds[node].lowest <= found.potentials[node][0] and found.potentials[node][1] <= bounds[node].highest
        assert bounds[node].size <= MEMBRANE_LIMIT
    return different, spikes


@pytest.mark.parametrize("per", ["channel", "population"])
@pytest.mark.parametrize("codes", LOOKUPS)
def test_the_reference_fires_spike_for_spike_as_both_simulators(codes: str, per: Any) -> None:
    integers = integer(codes, per)
    simulation = integer_simulation(integers)
    for simulator in ("clock", "window"):
        different, spikes = differences(integers, simulation, simulator)
        assert spikes > 500 and different == 0


def test_one_table_may_serve_all_channels() -> None:
    integers = integer("both", normalization="layer")
    assert {1} == {len(p.tables[0]) for p in integers.network.populations.values() if p.tables is not None}
    simulation = integer_simulation(integers)
    assert [differences(integers, simulation, simulator)[0] for simulator in ("clock", "window")] == [0, 0]


@pytest.mark.parametrize("stride", [1, 3])
def test_early_firing_is_kept(stride: int) -> None:
    integers = integer("both", schedule=Pipeline(stride=stride))
    assert differences(integers, integer_simulation(integers), "clock")[0] == 0


@pytest.mark.parametrize("codes", LOOKUPS)
def test_integers_change_the_output_little(codes: str) -> None:
    network, simulation, x = looked_up(codes), integer_simulation(integer(codes)), images(50, seed=9)
    true = network.reference(x)
    before, after = (float((found(x) - true).square().mean().sqrt()) for found in (network, simulation))
    assert after < before + 0.02 * float(true.std())


def test_a_simulation_has_the_functions_of_the_original() -> None:
    network, simulation, x = looked_up("two spikes"), integer_simulation(integer("two spikes")), images(20, seed=9)
    true = network.reference(x)
    assert float((simulation.reference(x) - true).abs().max()) < 0.05 * float(true.std())
    assert all(
        population.activation == network.populations[node].activation
        for node, population in simulation.populations.items()
    )


def test_a_simulation_of_tables_can_be_stored(tmp_path: Any) -> None:
    simulation, x = integer_simulation(integer("both")), images(3)
    simulation.save(tmp_path / "integers.snn")
    assert torch.equal(snnconv.load(tmp_path / "integers.snn")(x), simulation(x))


def rule_of(code: FunctionTable, resolution: int, seed: int = 0) -> LookupRule:
    """Random lines over even cells from -1 to 1 in two channels."""
    generator = torch.Generator().manual_seed(seed)
    payloads, slopes = torch.rand(2, 2, code.cells, generator=generator, dtype=torch.float64) - 0.5
    thresholds = torch.linspace(1.0, -1.0, code.cells + 1, dtype=torch.float64)[1:].expand(2, -1)
    places = code.steps - code.cells + 1
    rates = torch.full_like(payloads, places * code.cells / 2)
    slopes = slopes / places if places > 1 else 0 * slopes
    return LookupRule.of(torch.stack([thresholds, payloads, thresholds, rates, slopes]), code.steps, resolution)


@pytest.mark.parametrize("resolution", [64, 4096])
@pytest.mark.parametrize("code", [FunctionTable(12), FunctionTable(15, spikes=2)], ids=str)
def test_integers_keep_to_the_line_of_a_cell(code: FunctionTable, resolution: int) -> None:
    rule, scale = rule_of(code, resolution), np.array([100_003, 70_001])
    whole = TableLookup(code).with_tables(torch.from_numpy(rule.with_fractions(scale)), 1)
    values = torch.rand(4000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    numbers = (values * torch.from_numpy(scale)).floor()
    found = whole.window((numbers + 0.5) / torch.from_numpy(scale)).values / rule.unit
    assert torch.equal(found, found.round()) and float(found.abs().max()) <= resolution + rule.levels
    # Half a place along the line, half a payload for the rounding of the first spike, and as much where it would be 0.
    cell = (values[:, :, None] < rule.tables.thresholds).sum(2)
    payload, origin, rate, slope = (
        row.expand(4000, -1, -1).gather(2, cell[:, :, None])[..., 0] for row in rule.tables[1:]
    )
    line = payload + (slope * ((values - origin) * rate - 0.5) if rule.levels else 0.0)
    places = torch.from_numpy(np.abs(rule.slopes)).expand(4000, -1, -1).gather(2, cell[:, :, None])[..., 0]
    assert bool(((found - line / rule.unit).abs() <= places / 2 + 1.0).all())


def test_places_are_told_apart_as_division_would() -> None:
    rule, scale = rule_of(FunctionTable(15, spikes=2), 256), np.array([1009, 733])
    tables = rule.integers(scale)
    whole = TableLookup(FunctionTable(15, spikes=2)).with_tables(torch.from_numpy(rule.with_fractions(scale)), 1)
    numbers = np.arange(-1500, 1500)
    found = whole.window(torch.from_numpy((numbers[:, None] + 0.5) / scale)).values.numpy() / rule.unit
    for channel in range(2):
        for number, value in zip(numbers, found[:, channel], strict=True):
            cells = np.flatnonzero(number >= tables.thresholds[channel])
            if len(cells) == 0:
                assert value == 0
                continue
            payload, origin, width, slope = (int(row[channel, cells[0]]) for row in tables[1:])
            level = min(max((int(number) - origin) * 2**PLACE_BITS // width, 0), rule.levels)
            assert value == payload + level * slope


@pytest.mark.parametrize("resolution", [16, 64, 1024])
def test_tables_have_the_bits_they_are_said_to_have(resolution: int) -> None:
    rule = rule_of(FunctionTable(15, spikes=2), resolution)
    tables = rule.integers(np.array([2**21, 1]))
    assert (tables.payloads != 0).all() and np.abs(tables.payloads).max() <= resolution + rule.levels
    assert (np.diff(tables.thresholds) <= 0).all() and (tables.widths >= 1).all()
    assert rule.unit == 1 / resolution and tables.payloads[0].tolist() == rule.payloads[0].tolist()


class Merged(torch.nn.Module):
    """Two signals, of which ``join`` makes one that weights take."""

    def __init__(self, join: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.last = (torch.nn.Linear(4, 4) for _ in range(3))
        self.join = join

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.join(torch.relu(self.first(x)), 1 + torch.sigmoid(self.second(x)))
        result: torch.Tensor = self.last(hidden)
        return result


class Tokens(torch.nn.Module):
    """GELU with a table for each place along the last of three axes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(4, 5), torch.nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.last(torch.nn.functional.gelu(self.first(x)))
        return result


def converted(model: torch.nn.Module, *shape: int, coding: Any) -> SpikingNetwork:
    x = torch.randn(30, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return snnconv.convert(model.double(), x, coding=coding)


REFUSED = {
    "learned coefficients": (
        lambda: assembled("smooth", coding={"silu": FewSpikeNeuron.published("silu"), "*": FewSpike(6)}),
        "silu: few-spike neurons that compute silu .* looked up in a table",
    ),
    "products": (lambda: converted(Merged(torch.mul), 4, coding=OneSpike(8)), "multiplies two .* simulation only"),
    "ratios": (lambda: converted(Merged(torch.div), 4, coding=OneSpike(8)), "divides one signal by .* simulation only"),
    "tables along another axis": (lambda: converted(Tokens(), 3, 4, coding=OneSpike(8)), "gelu: .*permute the axes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_looked_up_is_refused_with_a_way_out(case: str) -> None:
    torch.manual_seed(0)
    make, message = REFUSED[case]
    with pytest.raises(ConfigurationError, match=message):
        quantize(make())


def test_every_channel_has_the_payloads_there_are() -> None:
    """However far its currents go beyond its values, as those of a sigmoid do."""
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Sigmoid(), torch.nn.Linear(5, 2))
    with torch.no_grad():
        layers[0].weight.mul_(torch.tensor([1.0, 3.0, 10.0, 30.0, 1000.0])[:, None])
    integers = quantize(converted(layers, 4, coding=OneSpike(12)))
    (population,) = integers.populations.values()
    assert isinstance(population.rule, LookupRule)
    largest = np.abs(population.tables.payloads).max(1) / population.rule.resolution
    assert (largest[:4] == 1).all() and largest[4] > 1 / 16
    x = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert differences(integers, integer_simulation(integers), "clock", x)[0] == 0


def test_codes_with_small_payloads_cost_bits_of_weights() -> None:
    """FunctionTable(63, spikes=2) has a payload of 1/1024 of the largest, for which a wide layer has no room."""
    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        *(torch.nn.Linear(4, 600), torch.nn.SiLU(), torch.nn.Linear(600, 9), torch.nn.ReLU(), torch.nn.Linear(9, 2))
    )
    integers = quantize(converted(layers, 4, coding=FunctionTable(63, spikes=2)))
    (largest,) = {int(np.abs(each.map.weights.astype(int)).max()) for each in integers.into("relu")}
    assert 16 <= largest < 100 and next(iter(integers.populations.values())).rule.unit == 1 / 1024
    x = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert differences(integers, integer_simulation(integers), "clock", x)[0] == 0
