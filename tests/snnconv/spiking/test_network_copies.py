"""Copies of a network with something replaced: tensors of their own, and every flag and log of the network given."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import Concurrent, FewSpike, OneSpike, Rate
from hw_export.integers.built_in import with_hard_reset
from hw_export.integers.quantization import quantize
from hw_export.integers.simulation import integer_simulation
from neurons import IntegrateFire
from snnconv import SpikingNetwork, TuningLog
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.logs import SearchLog

SEARCH_LOG, TUNING_LOG = SearchLog((), 0), TuningLog((1.0,), (1.0,), 2.0, 1, 0)
#: What follows from graph, populations and plan.
DERIVED = {"graph", "plan", "input_shapes", "densities", "held_out", "execution_plan", "period", "timing"}


def structure(network: NetworkBase) -> tuple[Any, ...]:
    graph = network.graph
    return dict(graph.inputs), dict(graph.nodes), graph.output, graph.batch_axis, graph.parameters


@cache
def network_of(stream: bool) -> SpikingNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    coding = {"coding": Rate(8), "schedule": Concurrent(8)} if stream else {"coding": FewSpike(4, spikes=2)}
    network = snnconv.convert(model, torch.rand(40, 6), **coding)
    network.search_log, network.tuned, network.tuning_log = SEARCH_LOG, True, TUNING_LOG
    return network


def names_of(network: NetworkBase) -> set[str]:
    """Every public attribute that the constructor sets."""
    return {name for name in vars(network) if not name.startswith("_")} - {*vars(nn.Module()), *vars(NetworkBase)}


def per_population(network: SpikingNetwork) -> SpikingNetwork:
    return integer_simulation(quantize(network, per="population"))


COPIES: dict[str, tuple[bool, Callable[[SpikingNetwork], SpikingNetwork]]] = {
    "nothing replaced, pipeline": (False, SpikingNetwork.with_),
    "nothing replaced, stream": (True, SpikingNetwork.with_),
    "deep copy": (False, copy.deepcopy),
    "integers, pipeline": (False, lambda network: integer_simulation(quantize(network))),
    "integers, stream": (True, lambda network: integer_simulation(quantize(network))),
    "integers, one step a population": (False, per_population),
    "hard reset": (True, with_hard_reset),
}


@pytest.mark.parametrize("name", sorted(names_of(network_of(False)) - DERIVED))
@pytest.mark.parametrize("how", [how for how in COPIES if how != "deep copy"])
def test_every_flag_and_log_is_kept(how: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, made = COPIES[how]
    network, mark = network_of(stream), object()
    monkeypatch.setattr(network, name, mark)
    assert getattr(made(network), name) is mark


@pytest.mark.parametrize("how", COPIES)
def test_derived_networks_of_a_tuned_one_say_that_it_was_tuned_and_keep_plan_shapes_and_held_out_samples(
    how: str,
) -> None:
    stream, made = COPIES[how]
    network = network_of(stream)
    found = made(network)
    assert found.tuned is True and type(found) is SpikingNetwork
    assert (found.plan, found.input_shapes, found.batch_axis) == (network.plan, network.input_shapes, 0)
    assert len(network.held_out) > 0
    for (one,), (other,) in zip(network.held_out, found.held_out, strict=True):
        assert torch.equal(one.double(), other.double())


@pytest.mark.parametrize("stream", [False, True])
def test_a_copy_with_nothing_replaced_is_equal_and_shares_no_tensor(stream: bool) -> None:
    network = network_of(stream)
    found = network.with_()
    assert structure(found) == structure(network)
    assert (found.densities, found.timing) == (network.densities, network.timing)
    assert found.period == network.period and found.execution_plan.sources == network.execution_plan.sources
    mine, own = dict(network.named_buffers()), dict(found.named_buffers())
    assert mine.keys() == own.keys()
    for name, tensor in mine.items():
        assert torch.equal(tensor, own[name]) and tensor.data_ptr() != own[name].data_ptr()
    x = torch.rand(5, 6)
    assert torch.equal(network(x), found(x))


def doubled(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: 2.0 * tensor for name, tensor in tensors.items()}


REPLACED: dict[str, Callable[[SpikingNetwork], Any]] = {
    "graph": lambda network: replace(network.complete_graph(), constants=doubled(network.constants)),
    "constants": lambda network: doubled(network.constants),
    "populations": lambda network: {
        node: replace(p, neuron=IntegrateFire(p.code, reset="zero")) for node, p in network.populations.items()
    },
    "plan": lambda network: replace(network.plan, schedule=Concurrent(5)),
    "input_shapes": lambda network: ((4, 6),),
    "input_ranges": lambda network: [replaced(seen) for seen in network.input_ranges],
    "densities": lambda network: dict.fromkeys(network.densities, 0.5),
    "held_out": lambda network: ((torch.zeros(2, 6),),),
    "tuned": lambda network: False,
}


def replaced(seen: Any) -> Any:
    return type(seen)(seen.low - 1.0, seen.high + 1.0)


def plain(value: Any) -> Any:
    """``value`` with tensors as lists, which can be compared."""
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


@pytest.mark.parametrize("name", REPLACED)
def test_what_is_given_is_replaced_and_nothing_else(name: str) -> None:
    network = network_of(True)
    wanted = REPLACED[name](network)
    found = network.with_(**{name: wanted})
    changed = {"constants"} if name == "graph" else {name}
    if name == "graph":
        assert plain(found.constants) == plain(dict(wanted.constants))
    elif name == "populations":
        assert {node: each.neuron for node, each in found.populations.items()} == {
            node: each.neuron for node, each in wanted.items()
        }
    else:
        assert plain(getattr(found, name)) == plain(wanted)
    for other in {*REPLACED} - changed - {"graph", "populations"}:
        assert plain(getattr(found, other)) == plain(getattr(network, other))
    assert structure(found) == structure(network)
    assert (found.search_log, found.tuning_log) == (SEARCH_LOG, TUNING_LOG)


def test_a_plan_that_does_not_fit_the_populations_is_refused() -> None:
    network = network_of(False)
    with pytest.raises(snnconv.ConfigurationError):
        network.with_(plan=replace(network_of(True).plan, hidden=OneSpike(4)))
