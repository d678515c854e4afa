"""Ratios of two signals: thresholds times the divisor in the clock, a division in closed form, with the same spikes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import TTFS, Code, Concurrent, FewSpike, FunctionTable, OneSpike, Phase, Pipeline, Rate, TableSpike
from hw_export.explicit.network import explicit
from hw_export.explicit.rate import rate_network
from snnconv import SpikingNetwork
from snnconv.tuning.differentiable_network import tuned_output
from snnconv.tuning.trained_tensors import TrainedTensors
from tests.support.pipelines import assert_simulators_agree
from tests.support.ratios import NETWORKS, RatioCalibrator, ratio_model

CODES = (
    FewSpike(6, 2.0, 3),
    FewSpike(5, 1.5, 2, "arithmetic"),
    OneSpike(16),
    Phase(7, 2.0),
    TableSpike(16),
    TTFS(14, 4.0),
    FunctionTable(9, 1),
    Rate(9),
)


@cache
def calibrator(name: str) -> tuple[RatioCalibrator, Tensor]:
    model, x = ratio_model(name)
    return RatioCalibrator(model, x), x


@pytest.mark.parametrize("name", NETWORKS)
def test_the_clock_fires_the_spikes_of_the_closed_form(name: str) -> None:
    made, x = calibrator(name)
    for code in (FewSpike(5, spikes=3), OneSpike(8)):
        network = made.network(code, percentile=100)  # largest values lie on levels
        assert network.execution_plan.ratios
        assert_simulators_agree(network, x)
        # a library may add up one row in another order than many
        torch.testing.assert_close(network(x[:1]), network(x)[:1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["of an exponential", "attention", "norm"])
def test_the_network_computes_the_ratio(name: str) -> None:
    made, x = calibrator(name)
    network = made.network(Phase(12))
    model, _ = ratio_model(name)
    assert torch.allclose(network.reference(x), model(x), rtol=1e-9, atol=1e-9)
    assert (network(x) - model(x)).norm() < 0.05 * model(x).norm()


class Divided(nn.Module):
    """One input divided by the other, both as they are or behind neurons."""

    def __init__(self, spiking: bool) -> None:
        super().__init__()
        self.spiking = spiking

    def forward(self, values: Tensor, divisor: Tensor) -> Tensor:
        return torch.relu(values) / torch.relu(divisor) if self.spiking else values / divisor


@cache
def divided(spiking: bool) -> RatioCalibrator:
    largest = torch.tensor([[63.0, 0.5], [1.0, 2.0]], dtype=torch.float64) / 64
    return RatioCalibrator(Divided(spiking).double(), largest, torch.full((2, 2), 63.0 / 64, dtype=torch.float64))


def with_scale(network: SpikingNetwork, scale: float) -> SpikingNetwork:
    """``network`` with one scale in all of its populations."""
    populations = network.populations.items()
    return network.with_(
        populations={name: replace(p, scale=torch.full_like(p.scale, scale)) for name, p in populations}
    )


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_window_is_that_of_the_ratio(code: Code) -> None:
    """Random values, values on levels, and divisors that are tiny, zero and negative; in units of a scale of 3."""
    network = with_scale(divided(False).network(code), 3.0)
    ((code,),) = [[population.code for population in network.populations.values()]]
    draw = torch.Generator().manual_seed(0)
    levels = code.quantize(torch.linspace(0.0, 2.0, 500, dtype=torch.float64)).values * 3.0
    divisor = torch.rand(1000, 2, generator=draw, dtype=torch.float64) * 4.0
    divisor[::7] *= 1e-9
    divisor[1::7], divisor[2::7] = 0.0, -divisor[2::7]
    values = torch.randn(1000, 2, generator=draw, dtype=torch.float64) * divisor * 3.0
    values[:500, 1] = levels * divisor[:500, 1]
    values[1::14] = 0.0  # 0 / 0 among them
    run = assert_simulators_agree(network, (values, divisor))
    ratio = torch.where(divisor > 0, values / torch.where(divisor > 0, divisor, 1.0), 0.0)
    wanted = code.quantize((ratio / 3.0).abs()).values * ratio.sign() * 3.0
    assert torch.allclose(run.output, wanted, rtol=1e-12, atol=0.0)
    assert not bool(run.output[divisor <= 0].any())


@pytest.mark.parametrize("code", CODES[:6], ids=str)
def test_values_on_thresholds_fire_alike_in_both_simulators(code: Code) -> None:
    """Both sides take all values of a grid, so that many ratios of what neurons said are levels themselves."""
    network = with_scale(divided(True).network(code), 1.0)
    grid = torch.linspace(0.0, 1.0, 33, dtype=torch.float64)
    values, divisor = torch.cartesian_prod(grid, grid).unbind(1)
    for scale in (1.0, 1.0 / 3.0):
        network = with_scale(network, scale)
        assert_simulators_agree(
            network, (scale * torch.stack([values, 1.0 - values], 1), scale * divisor[:, None] * torch.ones(2))
        )


def test_a_ratio_of_spiking_inputs() -> None:
    made, x = calibrator("of the input")
    assert_simulators_agree(made.network(Phase(6), input="phase"), x)


def test_a_stream_and_early_firing_refuse_ratios_with_the_remedy() -> None:
    made, _ = calibrator("of a constant")
    for code, schedule in ((Phase(6), Pipeline(3)), (OneSpike(8), Pipeline(1))):
        with pytest.raises(snnconv.ConfigurationError, match=r"div .*both are there.*schedule=Pipeline\(\)"):
            made.network(code, schedule)
    with pytest.raises(snnconv.ConfigurationError, match=r"div .*divides one signal.*schedule=Pipeline\(\)"):
        RatioCalibrator(Divided(False).double(), *(torch.rand(4, 2, dtype=torch.float64),) * 2).network(
            Phase(6), Concurrent(8)
        )


@pytest.mark.parametrize("simulator", ["clock", "window"])
def test_two_neurons_by_hand(simulator: str) -> None:
    """3/4 = 1/2 + 1/4 over 7/8 = 1/2 + 1/4 + 1/8 is 1/2 + 1/4 + 1/16 and more; 3/4 over 0 is silence."""
    network = with_scale(divided(True).network(Phase(6, 2.0)), 1.0)
    inputs = torch.tensor([[0.75, 0.75]], dtype=torch.float64), torch.tensor([[0.875, 0.0]], dtype=torch.float64)
    run = network.run(inputs, simulator=simulator, record=["rasters"])
    assert run.rasters["ratio"][:, 0].T.tolist() == [[0.5, 0.25, 0.0, 0.0625, 0.03125, 0.0], [0.0] * 6]
    assert run.output.tolist() == [[0.84375, 0.0]]
    assert run.synops == {"relu": 4, "relu_1": 3, "ratio": 0}  # each spike of either side arrives once


def test_a_divisor_has_one_register_for_all_that_it_divides() -> None:
    made, x = calibrator("of an exponential")
    network = made.network(OneSpike(8))
    assert network.synapses.fan_out["exp"].unique().tolist() == [1.0]
    assert network.run(x).synops["exp"] == network.run(x).spikes["exp"]


def test_a_multiplication_for_each_update_and_each_spike_is_priced() -> None:
    network = with_scale(divided(True).network(Phase(6, 2.0)), 1.0)
    inputs = torch.tensor([[0.75, 0.75]], dtype=torch.float64), torch.tensor([[0.875, 0.0]], dtype=torch.float64)
    found = snnconv.evaluate(network, (inputs, None))
    activity = found.activity
    # Two neurons listen for 6 steps and fire in 6 more; so do four before them, from the start.
    assert activity.updates == 2 * 12 + 4 * 6
    assert activity.ratio_multiplications == 2 * 12 + 4
    assert activity.update_multiplications == activity.updates + activity.ratio_multiplications
    assert activity.update_words == activity.updates + 2 * 12
    assert "multiplications by the divisors of ratios, in E3: 28" in str(found)
    assert found.totals.merge(found.totals).ratios == ("ratio",)
    assert "ratio: thresholds and what spikes take off are multiplied by the divisor" in str(network.report())


def test_verify_measures_a_ratio_by_what_it_received() -> None:
    made, x = calibrator("often zero")
    found = snnconv.verify(made.network(Phase(10)), x)
    own = {each.name: each for each in found.populations}["ratio"]
    assert own.own < 0.02 and own.spurious == 0.0


def test_gradients_pass_through_both_sides_and_no_shift_is_trained() -> None:
    made, x = calibrator("often zero")
    network = made.network(Phase(10))
    ratio = next(iter(network.execution_plan.ratios))
    trained = TrainedTensors(network)
    assert f"shift {ratio}" not in dict(trained.named_buffers()) and f"scale {ratio}" in dict(trained.named_buffers())
    output = tuned_output(network, (x,), "activation").output
    assert torch.equal(output, network(x))
    output.square().sum().backward()
    weights = network.constants
    for name in ("a.weight", "b.weight"):
        gradient = weights[name].grad
        assert gradient is not None and bool(torch.isfinite(gradient).all()) and bool(gradient.any())


def test_files_keep_ratios_and_refuse_a_shift(tmp_path: Path) -> None:
    made, x = calibrator("norm")
    network = made.network(OneSpike(12))
    network.save(tmp_path / "ratio.snn")
    loaded = snnconv.load(tmp_path / "ratio.snn")
    assert torch.equal(loaded(x), network(x)) and [*loaded.execution_plan.ratios] == [*network.execution_plan.ratios]
    (ratio,) = network.execution_plan.ratios
    populations = network.populations
    shifted = replace(populations[ratio], shift=torch.ones_like(populations[ratio].shift))
    network.with_(populations={**populations, ratio: shifted}).save(tmp_path / "shifted.snn")
    with pytest.raises(snnconv.StorageError, match="is a ratio with a shift"):
        snnconv.load(tmp_path / "shifted.snn")


def test_ratios_are_simulation_only() -> None:
    made, _ = calibrator("of an exponential")
    network = made.network(OneSpike(8))
    with pytest.raises(snnconv.ConfigurationError, match=r"div \(.*\.py.*divides one signal.*simulation only"):
        explicit(network)
    with pytest.raises(snnconv.ConfigurationError, match=r"NIR cannot represent div \(.*simulation only"):
        rate_network(network, "NIR")


def test_a_divisor_that_divides_by_nothing_is_refused_in_calibration() -> None:
    tiny = torch.full((4, 2), 1e-308, dtype=torch.float64)
    with pytest.raises(snnconv.InputError, match="div is NaN or infinite for some sample"):
        RatioCalibrator(Divided(False).double(), torch.ones_like(tiny) * 1e300, tiny).network(Phase(6))
