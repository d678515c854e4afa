"""Networks of other libraries, written to NIR by these: read here, they compute the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.peer_imports import PeerMissing, import_peer
from hw_export.nir import load
from tests.support.networks import draw

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:nirtorch"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:snntorch"),
]
STEPS = 20


def peer(module: str) -> Any:
    """A module of another library, if that is installed."""
    try:
        return import_peer(module)
    except PeerMissing as missing:
        pytest.skip(f"{missing} (benchmarks/requirements-peers.txt)")


def ours(graph: Any, x: Tensor, dt: float | None) -> Tensor:
    """Results ``[T, N, ...]`` of the module that is read, for input ``[T, N, ...]``."""
    module, state, found = load(graph, dt=dt), None, []
    for current in x:
        output, state = module(current, state)
        found.append(output)
    return torch.stack(found)


def linear(inputs: int, outputs: int, seed: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    layer.weight.data, layer.bias.data = draw(outputs, inputs, seed=seed).float(), draw(outputs, seed=seed + 1).float()
    return layer


def convolution(kind: Any) -> nn.Module:
    layer: nn.Module = kind(1, 3, 3)
    layer.weight.data, layer.bias.data = draw(3, 1, 3, 3, seed=6).float(), draw(3, seed=7).float()
    return layer


def full(size: int, value: float) -> Tensor:
    return torch.full((size,), value)


def images() -> Tensor:
    return 3 * draw(STEPS, 1, 1, 8, 8, seed=9).float().abs()


@torch.no_grad()
def test_snntorch_with_a_recurrent_layer() -> None:
    import snntorch
    from snntorch.export_nir import export_to_nir

    options = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}
    network = nn.Sequential(
        linear(4, 6, 0),
        snntorch.RLeaky(beta=0.8, linear_features=6, **options),
        linear(6, 5, 2),
        snntorch.Synaptic(alpha=full(5, 0.6), beta=full(5, 0.7), threshold=full(5, 1.3), **options),
        linear(5, 3, 4),
        snntorch.Leaky(beta=full(3, 0.9), threshold=full(3, 0.8), **options),
    )
    network[1].recurrent.weight.data = 0.5 * draw(6, 6, seed=6).float()
    graph = export_to_nir(network, torch.zeros(1, 4), ignore_dims=[0])
    network[1].reset_mem(), network[3].reset_mem(), network[5].reset_mem()
    x = draw(STEPS, 7, 4, seed=8).float()
    wanted = torch.stack([network(current) for current in x])
    assert 0.1 < wanted.mean() < 0.9
    assert torch.equal(ours(graph, x, 1e-4), wanted)


@torch.no_grad()
def test_norse_with_a_leaky_readout() -> None:
    """norse multiplies time constants by its step of 1e-3, and has an axis of samples in the shape of its input."""
    import norse.torch as norse

    spiking = norse.LIFBoxParameters(full(5, 150.0), full(5, 0.0), full(5, 0.1))
    readout = norse.LIBoxParameters(full(3, 60.0), full(3, 0.0))
    layers = (linear(4, 5, 0), norse.LIFBoxCell(spiking), linear(5, 3, 2), norse.LIBoxCell(readout))
    network = norse.SequentialState(*layers)
    x, state, wanted = draw(STEPS, 7, 4, seed=8).float(), None, []
    for current in x:
        output, state = network(current, state)
        wanted.append(output)
    graph = norse.to_nir(network, torch.zeros(1, 4))
    torch.testing.assert_close(ours(graph, x, 1e-6), torch.stack(wanted))


@torch.no_grad()
def test_sinabs_with_flatten_and_sums() -> None:
    layers, activation = peer("sinabs.layers"), peer("sinabs.activation")
    options = {"batch_size": 1, "min_v_mem": None, "spike_fn": activation.SingleSpike}
    options["reset_fn"] = activation.MembraneReset()
    first, last = layers.IAFSqueeze(**options), layers.IAFSqueeze(**options)
    network = nn.Sequential(convolution(nn.Conv2d), first, layers.SumPool2d(2), nn.Flatten(), linear(27, 4, 0), last)
    x = images()
    network(x[0])
    graph = peer("sinabs.nir").to_nir(network, x[0])
    peer("sinabs").reset_states(network)
    wanted = torch.stack([network(current) for current in x])
    assert 0.05 < wanted.mean() < 0.95
    assert torch.equal(ours(graph, x, None), wanted)


@torch.no_grad()
def test_spikingjelly_with_flatten_and_leaky_neurons() -> None:
    layer, neuron = (peer(f"spikingjelly.activation_based.{part}") for part in ("layer", "neuron"))
    middle = (neuron.IFNode(v_threshold=0.5), layer.AvgPool2d(2), layer.Flatten())
    last = layer.Linear(27, 4)
    last.load_state_dict(linear(27, 4, 0).state_dict())
    network = nn.Sequential(convolution(layer.Conv2d), *middle, last, neuron.LIFNode(tau=2.5, v_threshold=0.2))
    x = images()
    graph = peer("spikingjelly.activation_based.nir_exchange.to_nir").export_to_nir(network, example_input=x[0])
    peer("spikingjelly.activation_based.functional").reset_net(network)
    wanted = torch.stack([network(current) for current in x])
    assert 0.05 < wanted.mean() < 0.95
    assert torch.equal(ours(graph, x, 1e-4), wanted)
