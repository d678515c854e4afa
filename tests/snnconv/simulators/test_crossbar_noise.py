"""Noise of crossbars: its spread is what the reads of a window add up to, in both simulators."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import Burst, Code, Concurrent, Draws, FewSpike, OneSpike, Phase, Pipeline, Rate, Thermometer
from snnconv import CrossbarNoise
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork
from snnconv.simulators.clock import Clock
from snnconv.simulators.crossbar_noise import CrossbarReads
from snnconv.simulators.simulator import Simulator
from snnconv.simulators.window import Window

SIGMA = 0.04
CODES: dict[str, Code] = {
    "thermometer": Thermometer(6),
    "rate": Rate(6),
    "phase": Phase(6),
    "few-spike": FewSpike(5, 1.5, 2),
    "one-spike": OneSpike(8, 1.4),
}


class TwoReads(nn.Module):
    """Two populations, of which the second has a bias that keeps it busy, and an output that reads both."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 40), nn.Linear(40, 40), nn.Linear(40, 30)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x).relu()
        return self.last(self.second(first).relu() + first)  # type: ignore[no-any-return]


@cache
def network(code: Code) -> tuple[SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    samples = torch.rand(30, 3, dtype=torch.float64)
    return snnconv.convert(TwoReads().double().eval(), samples, coding=code, schedule=Pipeline()), samples[:1]


@pytest.mark.parametrize("simulator", ["window", "clock"])
@pytest.mark.parametrize("name", CODES)
def test_reads_of_a_window_add_sigma_times_the_root_of_the_squared_payloads(name: str, simulator: str) -> None:
    """One population feeds an output alone, so that all the spread comes from the reads of its window."""
    torch.manual_seed(0)
    model, samples = nn.Sequential(nn.Linear(3, 40), nn.ReLU(), nn.Linear(40, 40)).double(), torch.rand(30, 3).double()
    snn = snnconv.convert(model, samples, coding=CODES[name], schedule=Pipeline())
    many = samples[:1].expand(800, -1)
    spread = snn.run(many, simulator=simulator, noise=CrossbarNoise(SIGMA), seed=1).output.std(0)
    (population,) = snn.populations.values()
    payloads = population.code.payloads
    assert payloads is not None
    share = math.sqrt(sum((payload * population.code.period / population.code.steps) ** 2 for payload in payloads))
    if name in ("thermometer", "rate"):
        assert share == pytest.approx(1 / math.sqrt(6))
    assert isinstance(model[2], nn.Linear)
    # Random signs of full scale: the root mean square of what they bring about, over all outputs.
    unit = (model[2].weight.detach() * population.scale).square().sum(1).mean().sqrt()
    found = spread.square().mean().sqrt() / unit
    assert float(found) == pytest.approx(SIGMA * share, rel=0.02)


@pytest.mark.parametrize("name", CODES)
def test_both_simulators_draw_from_one_distribution(name: str) -> None:
    snn, x = network(CODES[name])
    means, spreads = [], []
    for simulator in ("window", "clock"):
        found = snn.run(x.expand(1500, -1), simulator=simulator, noise=CrossbarNoise(SIGMA), seed=1).output
        means.append(found.mean(0))
        spreads.append(found.std(0))
    error = 5.0 * spreads[0] / math.sqrt(1500)
    assert bool(((means[0] - means[1]).abs() < 2.0 * error).all())
    assert float((spreads[0] / spreads[1]).log().abs().max()) < 0.15
    assert float((spreads[0] / spreads[1]).log().mean().abs()) < 0.02


class TwoHeads(nn.Module):
    """Two outputs, each of a population of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(3, 40), nn.Linear(3, 50)
        self.first, self.second = nn.Linear(40, 30), nn.Linear(50, 30)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.first(self.one(x).relu()), self.second(self.other(x).relu())


@pytest.mark.parametrize("simulator", ["window", "clock"])
def test_an_output_has_the_noise_of_its_own_sources_alone(simulator: str) -> None:
    torch.manual_seed(0)
    model, samples = TwoHeads().double().eval(), torch.rand(30, 3, dtype=torch.float64)
    snn = snnconv.convert(model, samples, coding=Thermometer(6))
    assert snn.execution_plan.decoded_sums == snn.execution_plan.decoded_nodes  # in order, so that a seed says all
    outputs = snn.run(samples[:1].expand(800, -1), simulator=simulator, noise=CrossbarNoise(SIGMA), seed=1).output
    for head, output, population in zip((model.first, model.second), outputs, snn.populations.values(), strict=True):
        unit = (head.weight.detach() * population.scale).square().sum(1).mean().sqrt()
        found = output.std(0).square().mean().sqrt() / unit
        assert float(found) == pytest.approx(SIGMA / math.sqrt(6), rel=0.04)


@pytest.mark.parametrize("outputs", [1, 10])
def test_the_unit_of_few_outputs_is_as_exact(outputs: int) -> None:
    torch.manual_seed(0)
    model, samples = nn.Sequential(nn.Linear(3, 40), nn.ReLU(), nn.Linear(40, outputs)).eval(), torch.rand(30, 3)
    snn = snnconv.convert(model, samples, coding=Thermometer(6))
    reads, (population,) = CrossbarReads(snn, CrossbarNoise(1.0)), snn.populations.values()
    (node,) = snn.execution_plan.decoded_sums
    unit = (model[2].weight.detach() * population.scale).square().sum(1).mean().sqrt()  # type: ignore[operator]
    spread = reads.drawn(node, torch.zeros(20000, outputs), Draws(0, range(20000))).square().mean().sqrt()
    assert float(spread) == pytest.approx(float(unit), rel=0.03)


def test_without_noise_nothing_changes_and_a_seed_says_what_is_drawn() -> None:
    snn, x = network(CODES["thermometer"])
    assert torch.equal(snn.run(x, noise=CrossbarNoise(0.0)).output, snn.run(x).output)
    one, same, other = (snn.run(x, noise=CrossbarNoise(SIGMA), seed=seed).output for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    torch.manual_seed(3)
    first = snn.run(x, noise=CrossbarNoise(SIGMA)).output
    torch.manual_seed(3)
    assert torch.equal(first, snn.run(x, noise=CrossbarNoise(SIGMA)).output)
    assert not torch.equal(first, snn.run(x, noise=CrossbarNoise(SIGMA)).output)


def test_evaluate_measures_with_noise() -> None:
    snn, _ = network(CODES["thermometer"])
    data = torch.rand(200, 3, dtype=torch.float64)
    exact, noisy, worse = (snnconv.evaluate(snn, data, noise=CrossbarNoise(sigma)) for sigma in (0.0, 0.1, 0.6))
    assert exact.agreement > noisy.agreement > worse.agreement
    assert snnconv.evaluate(snn, data, noise=CrossbarNoise(0.1)).agreement == noisy.agreement


CUTS = (slice(0, 130), slice(130, 300))


def test_noise_belongs_to_samples_however_they_come() -> None:
    snn, _ = network(CODES["thermometer"])
    data, noise = torch.rand(300, 3, dtype=torch.float64), CrossbarNoise(0.2)
    whole = snnconv.evaluate(snn, data, noise=noise, seed=3)
    for size in (7, 100):
        assert snnconv.evaluate(snn, list(torch.split(data, size)), noise=noise, seed=3) == whole
    parts = [snnconv.evaluate(snn, data[cut], noise=noise, seed=3, before=cut.start) for cut in CUTS]
    assert parts[0].merge(parts[1]) == whole
    assert parts[0].merge(snnconv.evaluate(snn, data[CUTS[1]], noise=noise, seed=3)) != whole


@pytest.mark.parametrize("simulator", [Clock, Window])
def test_noise_does_not_depend_on_chunks(simulator: type[Simulator], monkeypatch: pytest.MonkeyPatch) -> None:
    snn, _ = network(CODES["phase"])
    x = torch.rand(20, 3, dtype=torch.float64)
    whole = snn.run(x, simulator=simulator.name, noise=CrossbarNoise(0.2), seed=3)
    monkeypatch.setattr(simulator, "together", 7 * 40)
    cut = snn.run(x, simulator=simulator.name, noise=CrossbarNoise(0.2), seed=3)
    torch.testing.assert_close(cut.output, whole.output, rtol=0, atol=1e-12)  # products of other sizes round otherwise
    assert cut.spikes == whole.spikes


class Neighbours(nn.Module):
    """Takes one sample a call, whose rows meet."""

    mixing: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 40), nn.Linear(40, 2)
        self.register_buffer("mixing", torch.rand(5, 5) - 0.3)

    def forward(self, x: Tensor) -> Tensor:
        return self.mixing @ self.last(self.first(self.mixing @ x).relu())  # type: ignore[no-any-return]


def test_the_unit_of_an_output_without_a_batch_axis_is_as_exact() -> None:
    torch.manual_seed(0)
    model, samples = Neighbours().eval(), [torch.rand(5, 3) for _ in range(8)]
    snn = snnconv.convert(model, samples, coding=Thermometer(6))
    assert snn.batch_axis is None
    (population,), (node,) = snn.populations.values(), snn.execution_plan.decoded_sums
    reads = CrossbarReads(snn, CrossbarNoise(1.0))
    paths = model.mixing.square().sum(1).mean() * (model.last.weight.detach() * population.scale).square().sum(1).mean()
    spread = reads.drawn(node, torch.zeros(20000), Draws(0, range(1))).square().mean().sqrt()
    assert float(spread) == pytest.approx(float(paths.sqrt()), rel=0.03)


class Multiplying(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.last = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last((self.one(x).relu() * self.other(x).relu() - 0.1).relu())  # type: ignore[no-any-return]


REFUSED: dict[str, tuple[Callable[[], nn.Module], dict[str, object], str]] = {
    "stream": (TwoReads, {"coding": Rate(8), "schedule": Concurrent(8)}, "needs windows"),
    "burst": (TwoReads, {"coding": Burst(8)}, "needs windows"),
    "spiking input": (TwoReads, {"coding": Thermometer(4), "input": Phase(4)}, "constant current"),
    "tables": (lambda: nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 2)), {"coding": OneSpike(6)}, "carries"),
    "product": (Multiplying, {"coding": Thermometer(4)}, "no crossbar"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_crossbar_reads_is_refused(name: str) -> None:
    make, options, reason = REFUSED[name]
    torch.manual_seed(0)
    samples = torch.rand(20, 3)
    snn = snnconv.convert(make().eval(), samples, **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=reason):
        snn.run(samples, noise=CrossbarNoise(0.1))


def test_noise_of_another_kind_is_refused() -> None:
    snn, x = network(CODES["thermometer"])
    with pytest.raises(ConfigurationError, match=r"CrossbarNoise\(sigma\), got 0\.1"):
        snn.run(x, noise=0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("sigma", [-0.1, math.nan, math.inf, "much", True])
def test_a_deviation_is_a_number_of_at_least_zero(sigma: object) -> None:
    with pytest.raises(ConfigurationError, match="sigma must be a number"):
        CrossbarNoise(sigma)  # type: ignore[arg-type]
