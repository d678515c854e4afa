"""Copies: a network travels as the file it would be, and its tensors only to networks that mean the same by them."""

from __future__ import annotations

import copy
import functools
import io
import multiprocessing
import os
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import Concurrent, FewSpike, OneSpike, Phase, Rate
from neurons import IntegrateFire
from snnconv import SpikingNetwork
from snnconv.spiking.logs import TuningLog
from tests.support.conversion import converted

X = torch.rand(60, 6, generator=torch.Generator().manual_seed(0))
STREAM: dict[str, Any] = {"coding": Rate(8), "schedule": Concurrent(8)}


def model(activation: Callable[[], nn.Module] = nn.ReLU, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), activation(), nn.Linear(8, 8), activation(), nn.Linear(8, 3)).eval()


def made(activation: Callable[[], nn.Module] = nn.ReLU, seed: int = 0, **options: Any) -> SpikingNetwork:
    options = {"coding": FewSpike(4)} | options
    return converted(("copies", activation, seed), lambda: (model(activation, seed), X), **options)


def through_torch(network: SpikingNetwork) -> SpikingNetwork:
    buffer = io.BytesIO()
    torch.save(network, buffer)
    found: SpikingNetwork = torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)
    return found


WAYS: dict[str, Callable[[SpikingNetwork], SpikingNetwork]] = {
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),
    "torch.save": through_torch,
}


@pytest.mark.parametrize("options", [{}, STREAM], ids=["pipeline", "stream"])
@pytest.mark.parametrize("way", WAYS)
def test_pickles_hold_what_a_file_holds(way: str, options: dict[str, Any]) -> None:
    network = made(**options)
    network.tuned = True
    found = WAYS[way](network)
    assert torch.equal(found(X), network(X)) and found.tuned
    assert found.plan == network.plan and found.densities == network.densities
    assert found.held_out == ()
    found.load_state_dict(network.state_dict())  # of one structure


def test_a_pickle_is_checked_as_a_file() -> None:
    content = bytearray(pickle.dumps(made()))
    place = content.index(b"__metadata__") + 4000  # among the tensors, or in the manifest
    content[place] ^= 1
    with pytest.raises(snnconv.StorageError):
        pickle.loads(bytes(content))


@dataclass(frozen=True)
class Unregistered(IntegrateFire):
    """A neuron that is not registered."""


def test_what_a_file_cannot_hold_is_refused_as_when_saving() -> None:
    with pytest.raises(snnconv.StorageError, match=r"neuron Unregistered is not registered.*register_neuron"):
        pickle.dumps(made(neuron=Unregistered))


def called(network: SpikingNetwork, x: Tensor) -> list[float]:
    return [float(each) for each in network(x).flatten()]


METHODS = [name for name in ("spawn", "fork") if name in multiprocessing.get_all_start_methods()]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_workers_compute_what_their_parent_computes(method: str) -> None:
    network = made()
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        assert pool.submit(called, network, X).result(timeout=300) == called(network, X)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_process_forked_in_the_middle_of_a_capture_can_convert() -> None:
    class Forking(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if not codes:
                with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
                    codes.append(pool.submit(converts).result(timeout=300))
            return torch.relu(x)

    codes: list[bool] = []
    snnconv.preflight(Forking(), X)
    assert codes == [True]


def converts() -> bool:
    return snnconv.preflight(nn.ReLU(), X).ok


def test_deep_copies_keep_everything() -> None:
    network = made()
    network.tuning_log = TuningLog((1.0,), (1.0,), 2.0, 1, 0)
    network.note = "mine"
    for found in (copy.deepcopy(network), copy.copy(network)):
        assert type(found) is SpikingNetwork and torch.equal(found(X), network(X)) and len(found.held_out) > 0
        assert found.tuning_log == network.tuning_log and found.note == "mine"
    found = copy.deepcopy({"a": network, "b": network})
    assert found["a"] is found["b"]
    for name, tensor in found["a"].named_buffers():
        assert tensor.data_ptr() != dict(network.named_buffers())[name].data_ptr()


def test_networks_run_in_single_and_double_precision_and_in_no_other() -> None:
    network = made()
    wanted = network(X)
    assert torch.allclose(copy.deepcopy(network).double()(X.double()).float(), wanted, atol=1e-5)
    assert torch.equal(copy.deepcopy(network).to(torch.float64).float()(X), wanted)
    for lower in (
        lambda network: network.half(),
        lambda network: network.bfloat16(),
        lambda network: network.to(torch.float16),
        lambda network: nn.Sequential(network).half(),
    ):
        with pytest.raises(snnconv.ModelError, match=r"single or double precision"):
            lower(network)
    assert torch.equal(network(X), wanted)
    with pytest.raises(snnconv.ModelError, match=r"is torch\.bfloat16; convert the model in single or double"):
        snnconv.convert(model().bfloat16(), X.bfloat16())


OTHERS: dict[str, tuple[Callable[[], SpikingNetwork], str]] = {
    "code": (lambda: made(coding=OneSpike(8)), "code of 1 is OneSpike.*, here FewSpike"),
    "steps": (lambda: made(coding=FewSpike(8)), r"steps=8.*here .*steps=4"),
    "base": (lambda: made(coding=Phase(4, base=1.5)), r"base=1\.5"),
    "neuron": (lambda: made(**STREAM, neuron="corrective"), r"neuron of 1 is CorrectiveIntegrateFire"),
    "reset": (lambda: made(**STREAM, neuron=functools.partial(IntegrateFire, reset="zero")), "reset='zero'"),
    "schedule": (lambda: made(coding=Rate(8), schedule=Concurrent(9)), r"schedule is .*9"),
    "input code": (lambda: made(input="phase"), "input code is"),
    "clamp": (lambda: made(lambda: nn.Hardtanh(0, 0.2)), "activation|populations"),
    "normalization": (lambda: made(normalization="layer"), "channel axis of 1 is None"),
    "operations": (lambda: made(nn.ReLU6), "activation|populations"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_state_dict_of_a_network_with_another_structure_is_refused(name: str) -> None:
    make, text = OTHERS[name]
    source = make()
    target = made(**STREAM) if name in ("neuron", "reset", "schedule") else made()
    before = {key: tensor.clone() for key, tensor in target.state_dict().items()}
    with pytest.raises(snnconv.ModelError, match=text):
        target.load_state_dict(source.state_dict())
    assert all(torch.equal(tensor, before[key]) for key, tensor in target.state_dict().items())
    with pytest.raises(snnconv.ModelError, match=r"network\.save\(path\)"):
        nn.Sequential(target).load_state_dict(nn.Sequential(source).state_dict(), strict=False)


def test_a_state_dict_of_a_network_of_one_structure_brings_all_along() -> None:
    fixed = {"coding": FewSpike(4, base=2.0)}  # fitted ones differ from model to model
    source, target = made(seed=1, **fixed), made(**fixed)
    source.tuned = True
    assert target.synapses.macs > 0  # counted before
    target.load_state_dict(source.state_dict())
    assert torch.equal(target(X), source(X)) and target.tuned and target.densities == source.densities
    again = made(**fixed)
    buffer = io.BytesIO()
    torch.save(source.state_dict(), buffer)
    again.load_state_dict(torch.load(io.BytesIO(buffer.getvalue())))  # tensors and nothing else
    assert torch.equal(again(X), source(X))


def test_synapses_are_counted_from_the_weights_that_were_loaded() -> None:
    network, pruned = made(), made().with_()
    whole = network.synapses.fan_out["relu"].sum()
    pruned = pruned.with_(
        constants={
            name: tensor * (tensor > 0) if tensor.dim() == 2 else tensor for name, tensor in pruned.constants.items()
        }
    )
    network.load_state_dict(pruned.state_dict())
    assert torch.equal(network.synapses.fan_out["relu"], pruned.synapses.fan_out["relu"])
    assert network.synapses.fan_out["relu"].sum() <= whole


def test_a_state_dict_that_is_none_is_refused() -> None:
    network = made()
    state = network.state_dict() | {"_extra_state": torch.zeros(3, dtype=torch.uint8)}
    with pytest.raises(snnconv.ModelError, match="holds no structure"):
        network.load_state_dict(state)
    with pytest.raises(RuntimeError, match="_extra_state"):
        network.load_state_dict({key: tensor for key, tensor in state.items() if key != "_extra_state"})
