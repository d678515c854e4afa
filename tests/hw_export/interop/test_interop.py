"""Modules of snntorch, norse and sinabs, against the clock."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable

import pytest
import torch

import snnconv
from coding import Pipeline, Rate
from hw_export.interop import to_norse, to_sinabs, to_snntorch
from hw_export.interop.stream_network import StreamNetwork
from snnconv import SpikingNetwork
from snnconv.errors import ConfigurationError, InputError
from tests.hw_export.nir.nir_networks import MODELS, NEURONS, STEPS, assert_same_spikes, clock, converted
from tests.support.networks import make, network_of

MAKERS = {"snntorch": to_snntorch, "norse": to_norse, "sinabs": to_sinabs}
Maker = Callable[[SpikingNetwork], StreamNetwork]


@pytest.fixture(params=list(MAKERS))
def maker(request: pytest.FixtureRequest) -> Maker:
    pytest.importorskip(request.param, reason=f"{request.param} is not installed (benchmarks/requirements-peers.txt)")
    return MAKERS[request.param]


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("name", MODELS)
def test_spikes_are_those_of_the_clock(maker: Maker, name: str, neuron: str) -> None:
    network, x = converted(name, neuron, torch.float64, exact=False)
    output, rasters = clock(network, x)
    mean, found = maker(network).run(x)
    assert_same_spikes(found, rasters)
    torch.testing.assert_close(mean, output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("neuron", NEURONS)
def test_ties_give_the_same_spikes(maker: Maker, neuron: str, dtype: torch.dtype) -> None:
    network, x = converted("digits", neuron, dtype)
    assert_same_spikes(maker(network).run(x)[1], clock(network, x)[1])


def test_large_drives_fire_at_every_step(maker: Maker) -> None:
    network, x = converted("deep", "subtract", torch.float64, exact=False)
    rasters = clock(network, 20.0 * x)[1]
    assert any((raster.sum(0) == STEPS).any() for raster in rasters.values())
    assert_same_spikes(maker(network).run(20.0 * x)[1], rasters)


def test_state_is_explicit(maker: Maker) -> None:
    network, x = converted("skip", "subtract")
    module = maker(network)
    rasters = clock(network, x)[1]
    state, other = None, None
    for t in range(4):
        _, state = module(x, state)
        _, other = module(-x, other)  # another run in between changes nothing
        assert_same_spikes(
            {name: spikes for name, spikes in state.spikes.items() if rasters[name][t].any()},
            {name: raster[t] for name, raster in rasters.items() if raster[t].any()},
        )


def test_gradients_reach_the_weights(maker: Maker) -> None:
    network, x = converted("deep", "subtract")
    module = maker(network)
    module.run(x, 4)[0].square().sum().backward()
    weights = module.synapses.parameters()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in weights)


def test_the_surrogate_is_that_of_snntorch() -> None:
    from snntorch import surrogate

    network, _ = converted("deep", "subtract", torch.float64)
    (spike, _) = [m.spike_grad for m in to_snntorch(network).modules() if hasattr(m, "spike_grad")]
    above = torch.linspace(-2.0, 2.0, 41, dtype=torch.float64, requires_grad=True)
    ours, theirs = (torch.autograd.grad(f(above).sum(), above)[0] for f in (spike, surrogate.atan()))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("neuron", NEURONS)
def test_modules_can_be_copied_and_saved(maker: Maker, neuron: str) -> None:
    network, x = converted("deep", neuron)
    module = maker(network)
    stored = io.BytesIO()
    torch.save(module, stored)
    stored.seek(0)
    read = torch.load(stored, weights_only=False)
    for other in (copy.deepcopy(module), read):
        assert_same_spikes(other.run(x)[1], module.run(x)[1])


def test_scales_give_spikes_their_values(maker: Maker) -> None:
    network, x = converted("spikes", "subtract", torch.float64)
    module = maker(network)
    output, rasters = module.run(x)
    (name,) = rasters
    torch.testing.assert_close(rasters[name].mean(0) * module.scales[name], output)


def test_the_modules_are_those_of_the_library() -> None:
    import norse.torch
    import snntorch

    network, _ = converted("deep", "zero")
    assert sum(isinstance(module, snntorch.Leaky) for module in to_snntorch(network).modules()) == 2
    assert sum(isinstance(module, norse.torch.IAFCell) for module in to_norse(network).modules()) == 2


def test_what_they_cannot_represent_is_refused(maker: Maker) -> None:
    (format,) = (name for name, each in MAKERS.items() if each is maker)
    with pytest.raises(ConfigurationError, match=rf"activation: {format} cannot represent SignedIntegrateFire"):
        maker(network_of("leaky relu"))
    with pytest.raises(ConfigurationError, match=rf"{format} cannot represent max pooling"):
        maker(network_of("max pooling"))
    model, x = make("perceptron")
    pipeline = snnconv.convert(model, x, coding=Rate(8), schedule=Pipeline())
    with pytest.raises(ConfigurationError, match=rf"relu: {format} cannot represent rate code in a pipeline"):
        maker(pipeline)


def test_other_input_is_refused(maker: Maker) -> None:
    network, x = converted("deep")
    module = maker(network)
    with pytest.raises(InputError, match="shape"):
        module(x[:, :-1])
    with pytest.raises(InputError, match="float64"):
        module(x.double())
    with pytest.raises(ConfigurationError, match="steps"):
        module.run(x, 0)
