"""Graph networks as plain torch writes them: the adjacency dense or sparse, an argument of forward or a buffer."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import snnconv
import snnconv.graph.reach
import snnconv.spiking.synapses
from coding import Rate
from snnconv import ConfigurationError, InputError, UnsupportedModelError
from tests.support.graph_networks import (
    CLASSES,
    FEATURES,
    HIDDEN,
    LAYOUTS,
    NAMED_LAYOUTS,
    NODES,
    PRODUCTS,
    Demanding,
    PlainGCN,
    X,
    adjacency,
    converted,
    output,
)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("layout", NAMED_LAYOUTS)
def test_an_adjacency_given_by_name_is_part_of_the_network(layout: str, product: str) -> None:
    model, network = converted(layout, product)
    wanted = output(model)
    assert list(network.graph.inputs) == ["x"] and network.batch_axis is None
    assert torch.allclose(network.reference(X), wanted, rtol=1e-12)
    assert float((network(X) - wanted).norm() / wanted.norm()) < 0.02
    assert torch.equal(network(X), network(X))
    sparse = [tensor.layout for tensor in network.constants.values() if tensor.layout is not torch.strided]
    assert sparse == ([] if layout == "dense" else [torch.sparse_coo])


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_adjacency_may_be_a_buffer(layout: str, product: str) -> None:
    model = PlainGCN(PRODUCTS[product], adj=adjacency(layout))
    network = snnconv.convert(model, X, coding=Rate(16))
    assert torch.equal(network(X), snnconv.convert(model, X, coding=Rate(16))(X))
    assert torch.allclose(network.reference(X), output(model), rtol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("readout", [nn.Softmax(1), nn.LogSoftmax(1)], ids=["softmax", "log_softmax"])
def test_a_softmax_may_follow(readout: nn.Module, layout: str) -> None:
    model = PlainGCN(torch.mm, readout)
    network = snnconv.convert(model, X, coding=Rate(256), percentile=100, constants={"adj": adjacency(layout)})
    assert torch.allclose(network.reference(X), output(model), rtol=1e-10)
    assert torch.allclose(network(X), output(model), atol=0.05)


def test_dense_and_sparse_agree_on_all_that_is_counted() -> None:
    dense, *others = (converted(layout)[1] for layout in LAYOUTS)
    for other in others:
        assert torch.allclose(dense(X), other(X))
        assert dense.synapses.macs == other.synapses.macs
        assert dense.synapses.input_macs == other.synapses.input_macs
        assert dense.synapses.bounds == other.synapses.bounds == ()
        for name, fan_out in dense.synapses.fan_out.items():
            assert torch.equal(fan_out, other.synapses.fan_out[name])
            assert torch.equal(dense.synapses.fan_out_by_layer[name], other.synapses.fan_out_by_layer[name])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_synapses_are_the_non_zeros_of_the_map_between_populations(layout: str) -> None:
    _, network = converted(layout)
    degrees = adjacency().ne(0).sum(0).double()[:, None]  # how many nodes each node sends to
    synapses = network.synapses
    assert torch.equal(synapses.fan_out["x"], (degrees * HIDDEN).expand(NODES, FEATURES))
    assert torch.equal(synapses.fan_out["relu"], (degrees * CLASSES).expand(NODES, HIDDEN))
    edges = int(degrees.sum())
    assert synapses.input_macs == NODES * FEATURES * HIDDEN + edges * HIDDEN
    assert synapses.macs == synapses.input_macs + NODES * HIDDEN * CLASSES + edges * CLASSES
    run = network.run(X, record=["rasters"])
    assert sum(run.synops.values()) == float((run.rasters["relu"].sum(0) * degrees * CLASSES).sum())


TWICE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "two hops": lambda adj, h: adj @ (adj @ h),
    "a node's own and its neighbours' features": lambda adj, h: adj @ h + h,
    "weights twice": lambda adj, h: adj @ (h @ torch.ones(h.shape[1], h.shape[1], dtype=torch.float64)),
    "two hops, one of them seen from the other side": lambda adj, h: ((adj @ h).t() @ adj).t(),
}


@pytest.mark.parametrize("kind", TWICE)
def test_paths_that_meet_are_one_synapse(kind: str) -> None:
    network = snnconv.convert(PlainGCN(TWICE[kind]), X, coding=Rate(4), constants={"adj": adjacency()})
    edges, weights = adjacency().ne(0).double(), torch.ones(HIDDEN, CLASSES, dtype=torch.float64)
    spikes = torch.eye(NODES * HIDDEN, dtype=torch.float64).view(-1, NODES, HIDDEN)
    targets = [int(TWICE[kind](edges, spike @ weights).count_nonzero()) for spike in spikes]
    assert network.synapses.bounds == ()
    assert network.synapses.fan_out["relu"].flatten().tolist() == targets


@pytest.mark.parametrize("kind", TWICE)
def test_paths_that_may_meet_and_are_no_products_of_sets_are_probed_or_reported_as_a_bound(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = snnconv.convert(PlainGCN(TWICE[kind]), X, coding=Rate(4), constants={"adj": adjacency()})
    fan_out = network.synapses.fan_out
    again = snnconv.convert(PlainGCN(TWICE[kind]), X, coding=Rate(4), constants={"adj": adjacency()})
    third = snnconv.convert(PlainGCN(TWICE[kind]), X, coding=Rate(4), constants={"adj": adjacency()})
    monkeypatch.setattr(snnconv.graph.reach, "PRODUCT_LIMIT", 0)
    assert again.synapses.bounds == ()  # found by a spike at a time
    assert all(torch.equal(again.synapses.fan_out[name], fan_out[name]) for name in fan_out)
    monkeypatch.setattr(snnconv.spiking.synapses, "PROBE_LIMIT", 0)
    assert third.synapses.bounds == ("x", "relu")


def test_a_transposed_adjacency_stays_sparse() -> None:
    model = PlainGCN(lambda adj, h: adj.t() @ h)
    network = snnconv.convert(model, X, coding=Rate(4), constants={"adj": adjacency("coo")})
    assert torch.allclose(network.reference(X), output(model), rtol=1e-12)
    assert [t.layout for t in network.constants.values()].count(torch.sparse_coo) == 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scales_are_those_of_features(layout: str) -> None:
    _, network = converted(layout)
    (population,) = network.populations.values()
    assert population.channel_axis == 1 and population.scale.shape == (HIDDEN,)
    hidden = F.relu(adjacency() @ X @ PlainGCN(torch.mm).first + PlainGCN(torch.mm).bias).detach()
    silent = list(population.silent_channels)
    heard = [channel for channel in range(HIDDEN) if channel not in silent]
    assert torch.allclose(population.scale[heard], hidden.amax(0)[heard])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_network_can_be_copied_and_moved(layout: str) -> None:
    _, network = converted(layout)
    single = copy.deepcopy(network).to("cpu", torch.float32)
    assert all(tensor.dtype == torch.float32 for tensor in single.constants.values())
    assert torch.allclose(single(X.float()).double(), network(X), atol=0.1)
    assert single.double()(X).dtype == torch.float64
    state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    copy.deepcopy(network).load_state_dict(state)


@pytest.mark.parametrize("layout", NAMED_LAYOUTS)
def test_only_nodes_with_a_target_are_judged(layout: str) -> None:
    model, network = converted(layout)
    decisions = output(model).argmax(1)
    targets = decisions.clone()
    targets[0] = (targets[0] + 1) % CLASSES
    targets[4:] = -100
    for data in ((X, targets), [(X, targets)], [((X,), targets)]):
        for options in ({}, {"reference": model, "constants": {"adj": adjacency(layout)}}):
            result = snnconv.evaluate(network, data, **options)  # type: ignore[arg-type]
            assert (result.samples, result.judged) == (1, 4)
            assert result.accuracy == result.reference_accuracy == 75.0 and result.agreement == 100.0
    nobody = snnconv.evaluate(network, (X, torch.full_like(targets, -100)))
    assert nobody.accuracy is None and nobody.agreement == 100.0


def test_a_reference_without_its_constants_is_explained() -> None:
    model, network = converted("dense")
    demanding = Demanding()
    with pytest.raises(InputError, match=r"reference: forward takes \(x, adj\).*constants="):
        snnconv.evaluate(network, X, reference=demanding)
    with pytest.raises(ConfigurationError, match="no argument 'graph'"):
        snnconv.evaluate(network, X, reference=model, constants={"graph": adjacency()})


SPARSE_ARITHMETIC: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "added": lambda adj, h: torch.sparse.addmm(h, adj, h),
    "scaled": lambda adj, h: (adj * 2.0) @ h,
    "squared": lambda adj, h: (adj @ adj) @ h,
}


@pytest.mark.parametrize("kind", SPARSE_ARITHMETIC)
def test_other_uses_of_a_sparse_constant_are_refused(kind: str) -> None:
    model = PlainGCN(SPARSE_ARITHMETIC[kind])
    with pytest.raises(UnsupportedModelError, match="sparse"):
        snnconv.convert(model, X, constants={"adj": adjacency("coo")})


def test_a_sparse_constant_that_is_made_dense_converts() -> None:
    model = PlainGCN(lambda adj, h: adj.to_dense() @ h)
    sparse = snnconv.convert(model, X, constants={"adj": adjacency("coo")})
    dense = snnconv.convert(PlainGCN(lambda adj, h: adj @ h), X, constants={"adj": adjacency()})
    assert torch.equal(sparse(X), dense(X))


def test_samples_of_a_graph_network_share_their_shape() -> None:
    free = nn.Sequential(nn.Flatten(0), nn.ReLU())
    with pytest.raises(InputError, match="fixes its first axis"):
        snnconv.convert(free.append(nn.Linear(NODES * FEATURES, 2)).double(), [X, X[:3]])
