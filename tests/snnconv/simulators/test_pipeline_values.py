"""What pipelines compute: the original network with its activations quantised as the papers say."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import TTFS, FewSpike, OneSpike, Phase, Pipeline, Rate
from snnconv import SpikingNetwork
from tests.support.conversion import converted
from tests.support.networks import Between, Deep, draw, make, prepared, zoo
from tests.support.pipelines import CODES

SIMULATORS = ["clock", "window"]


def exponential_floor(values: Tensor, code: TTFS) -> Tensor:
    """T2FSNN: fire at t = ceil(t_d - tau ln x), worth exp(-(t - t_d) / tau); silent behind the last step."""
    assert not isinstance(code.tau, str)
    time = torch.ceil(code.delay - code.tau * values.clamp(min=1e-300).log() - 1e-9).clamp(min=0)
    return torch.where((time < code.steps) & (values > 0), torch.exp(-(time - code.delay) / code.tau), 0.0)


def nearest_power(values: Tensor, code: OneSpike) -> Tensor:
    """One-Spike: fire at the first k with B^k x >= (1 + 1 / B) / 2, worth B^-k; silent behind the last step."""
    assert not isinstance(code.base, str)
    shifted = (1.0 + 1.0 / code.base) / 2.0 / values.clamp(min=1e-300)
    k = torch.ceil(torch.log(shifted) / math.log(code.base) - 1e-9).clamp(min=0)
    return torch.where((k < code.steps) & (values > 0), code.base**-k, 0.0)


def quantised(model: nn.Module, network: SpikingNetwork, x: Tensor, quantiser: object) -> Tensor:
    """``Deep`` with a quantiser in place of every ReLU."""
    scales = iter(network.populations.values())
    with torch.no_grad():
        for layer in model.get_submodule("layers"):  # type: ignore[union-attr]
            if isinstance(layer, nn.ReLU):
                population = next(scales)
                x = quantiser(x / population.scale, population.code) * population.scale  # type: ignore[operator]
            else:
                x = layer(x)
    return x


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("code", [TTFS(80, 20.0), TTFS(20, 5.0, -1.5), TTFS(12, 3.0, 2.0), TTFS(20, "gradient")])
def test_ttfs_is_the_network_with_the_exponential_floor_quantiser(code: TTFS, simulator: str) -> None:
    model, x = make("deep")
    network = zoo("deep", coding=code, bias_correction=False)
    found = network.run(x, simulator=simulator).output
    assert torch.allclose(found, quantised(model, network, x, exponential_floor), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(
    "code", [OneSpike(16, 1.3, "arithmetic"), OneSpike(8, 2.0, "arithmetic"), OneSpike(24, rounding="arithmetic")]
)
def test_one_spike_is_the_network_with_the_midpoint_quantiser(code: OneSpike, simulator: str) -> None:
    model, x = make("deep")
    network = zoo("deep", coding=code, bias_correction=False)
    found = network.run(x, simulator=simulator).output
    assert torch.allclose(found, quantised(model, network, x, nearest_power), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("code", CODES)
def test_a_neuron_with_nothing_but_a_bias_carries_the_quantised_bias(code: str, simulator: str) -> None:
    model = prepared(Deep)
    biases = torch.linspace(-0.5, 1.0, 16).double()
    with torch.no_grad():
        for layer in ("layers.0", "layers.2"):
            model.get_parameter(f"{layer}.weight").zero_()
            model.get_parameter(f"{layer}.bias").copy_(biases)
        model.get_parameter("layers.4.weight").copy_(torch.eye(16)[3::4])
    x = draw(20, 6)
    network = converted(
        "nothing but biases", lambda: (model, x), coding=CODES[code], schedule=Pipeline(), normalization="layer"
    )
    run = network.run(x, simulator=simulator, record=["rasters"])
    for population in network.populations.values():
        wanted = population.code.quantize(biases / population.scale).values
        found = population.code.decode(run.rasters[population.name])
        assert torch.allclose(found, wanted.expand_as(found), rtol=1e-12, atol=1e-14)
    last = wanted[3::4] * population.scale + model.get_parameter("layers.4.bias")
    assert torch.allclose(run.output, last.detach().expand_as(run.output), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("code", CODES)
def test_a_bounded_activation_never_exceeds_its_bound(code: str) -> None:
    model, x = prepared(lambda: Between(nn.ReLU6(), gain=30.0)), draw(60, 6)
    for percentile in (100, "mse"):
        network = converted(
            "a bounded activation", lambda: (model, x), coding=CODES[code], schedule=Pipeline(), percentile=percentile
        )
        (population,) = network.populations.values()
        for simulator in SIMULATORS:
            ((_, raster),) = network.run(10.0 * x, simulator=simulator, record=["rasters"]).rasters.items()
            decoded = population.code.decode(raster) * population.scale
            assert float(decoded.max()) <= 6.0 * (1.0 + 1e-12)


@pytest.mark.parametrize("name", ["residual", "leaky relu", "max pooling"])
def test_the_error_falls_as_windows_grow(name: str) -> None:
    model, x = make(name)
    with torch.no_grad():
        wanted = model(x)
    for series in (
        [FewSpike(steps, 1.4, spikes) for steps, spikes in ((6, 1), (12, 3), (24, 8))],
        [OneSpike(steps) for steps in (6, 20, 64)],
        [Phase(steps) for steps in (3, 6, 16)],
        [Rate(steps) for steps in (4, 32, 256)],
        [TTFS(steps, "fit", rounding="geometric") for steps in (8, 32, 128)],
    ):
        networks = [zoo(name, coding=code, schedule=Pipeline(), percentile=100) for code in series]
        errors = [float((network(x) - wanted).norm() / wanted.norm()) for network in networks]
        assert errors[0] > errors[1] > errors[2] and errors[2] < 0.08


def test_leaky_relu_may_stay_silent_below_its_last_level() -> None:
    model, x = prepared(lambda: nn.Sequential(nn.Linear(6, 9), nn.LeakyReLU(0.1))), draw(50, 6)
    network = snnconv.convert(model, x, coding=OneSpike(16, 1.3, "arithmetic"), bias_correction=False)
    (population,) = network.populations.values()
    ((_, raster),) = network.run(x, record=["rasters"]).rasters.items()
    with torch.no_grad():
        values = nn.functional.leaky_relu(model.get_submodule("0")(x), 0.1) / population.scale
    code = population.code
    assert isinstance(code, OneSpike)
    assert torch.allclose(raster.sum(0), values.sign() * nearest_power(values.abs(), code), rtol=1e-9, atol=1e-12)
