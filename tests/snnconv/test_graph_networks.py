"""Graph networks as plain torch writes them: the adjacency dense or sparse, an argument of forward or a buffer."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import snnconv
import snnconv.reach
from coding import Rate
from snnconv import ConfigurationError, InputError, ModelError, SpikingNetwork, UnsupportedModelError, storage
from tests.networks import draw

NODES, FEATURES, HIDDEN, CLASSES = 7, 5, 6, 3
X = draw(NODES, FEATURES)

Product = Callable[[Tensor, Tensor], Tensor]
PRODUCTS: dict[str, Product] = {
    "@": lambda adj, h: adj @ h,
    "matmul": torch.matmul,
    "mm": torch.mm,
    "spmm": torch.spmm,
    "sparse.mm": torch.sparse.mm,
}
LAYOUTS = ["dense", "coo", "csr"]
#: Layouts that torch cannot trace, so that only a constant given by name may have them.
NAMED_LAYOUTS = [*LAYOUTS, "csc", "bsr", "bsc"]


def adjacency(layout: str = "dense") -> Tensor:
    """A matrix that is not symmetric, with an empty row."""
    matrix = torch.rand(NODES, NODES, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    matrix = torch.where(matrix > 0.6, matrix, 0.0)
    matrix[2] = 0.0
    if layout == "coo":
        return matrix.to_sparse_coo()
    if layout == "dense":
        return matrix
    with warnings.catch_warnings():  # torch calls these layouts new, once a process
        warnings.simplefilter("ignore")
        blocks = {"blocksize": (1, NODES)} if layout.startswith("b") else {}
        return matrix.to_sparse(layout=getattr(torch, f"sparse_{layout}"), **blocks)


class GCN(nn.Module):
    """Two graph convolutions; the adjacency is an argument, or a buffer if one is given."""

    def __init__(self, product: Product, readout: nn.Module | None = None, adj: Tensor | None = None) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Parameter(torch.randn(FEATURES, HIDDEN, generator=generator, dtype=torch.float64))
        self.second = nn.Parameter(torch.randn(HIDDEN, CLASSES, generator=generator, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(HIDDEN, generator=generator, dtype=torch.float64))
        self.product, self.readout = product, readout or nn.Identity()
        self.register_buffer("adjacency", adj)

    def forward(self, x: Tensor, adj: Tensor | None = None) -> Tensor:
        adj = self.adjacency if adj is None else adj
        hidden = F.relu(self.product(adj, x @ self.first) + self.bias)
        hidden = F.dropout(hidden, training=self.training)
        return self.readout(self.product(adj, hidden @ self.second))


def converted(layout: str, product: str = "@", **options: Any) -> tuple[GCN, SpikingNetwork]:
    model = GCN(PRODUCTS[product])
    network = snnconv.convert(
        model, X, coding=Rate(256), percentile=100, constants={"adj": adjacency(layout)}, **options
    )
    return model, network


def output(model: GCN) -> Tensor:
    with torch.no_grad():
        result: Tensor = model.eval()(X, adjacency())
    return result


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
    model = GCN(PRODUCTS[product], adj=adjacency(layout))
    network = snnconv.convert(model, X, coding=Rate(16))
    assert torch.equal(network(X), snnconv.convert(model, X, coding=Rate(16))(X))
    assert torch.allclose(network.reference(X), output(model), rtol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("readout", [nn.Softmax(1), nn.LogSoftmax(1)], ids=["softmax", "log_softmax"])
def test_a_softmax_may_follow(readout: nn.Module, layout: str) -> None:
    model = GCN(torch.mm, readout)
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
    network = snnconv.convert(GCN(TWICE[kind]), X, coding=Rate(4), constants={"adj": adjacency()})
    edges, weights = adjacency().ne(0).double(), torch.ones(HIDDEN, CLASSES, dtype=torch.float64)
    spikes = torch.eye(NODES * HIDDEN, dtype=torch.float64).view(-1, NODES, HIDDEN)
    targets = [int(TWICE[kind](edges, spike @ weights).count_nonzero()) for spike in spikes]
    assert network.synapses.bounds == ()
    assert network.synapses.fan_out["relu"].flatten().tolist() == targets


@pytest.mark.parametrize("kind", TWICE)
def test_paths_that_may_meet_and_are_no_products_of_sets_are_reported_as_a_bound(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snnconv.reach, "PRODUCT_LIMIT", 0)
    network = snnconv.convert(GCN(TWICE[kind]), X, coding=Rate(4), constants={"adj": adjacency()})
    assert network.synapses.bounds == ("x", "relu")


def test_a_transposed_adjacency_stays_sparse() -> None:
    model = GCN(lambda adj, h: adj.t() @ h)
    network = snnconv.convert(model, X, coding=Rate(4), constants={"adj": adjacency("coo")})
    assert torch.allclose(network.reference(X), output(model), rtol=1e-12)
    assert [t.layout for t in network.constants.values()].count(torch.sparse_coo) == 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scales_are_those_of_features(layout: str) -> None:
    _, network = converted(layout)
    (population,) = network.populations.values()
    assert population.channel_axis == 1 and population.scale.shape == (HIDDEN,)
    hidden = F.relu(adjacency() @ X @ GCN(torch.mm).first + GCN(torch.mm).bias).detach()
    silent = list(population.silent_channels)
    heard = [channel for channel in range(HIDDEN) if channel not in silent]
    assert torch.allclose(population.scale[heard], hidden.amax(0)[heard])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_saved_network_computes_the_same(layout: str, tmp_path: Path) -> None:
    _, network = converted(layout)
    network.save(tmp_path / "network.snn")
    loaded = snnconv.load(tmp_path / "network.snn")
    assert torch.equal(loaded(X), network(X)) and loaded.report() == network.report()
    assert loaded.constants.keys() == network.constants.keys()
    assert all(loaded.constants[name].layout is tensor.layout for name, tensor in network.constants.items())
    loaded.save(tmp_path / "again.snn")
    assert (tmp_path / "again.snn").stat().st_size == (tmp_path / "network.snn").stat().st_size


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_network_can_be_copied_and_moved(layout: str) -> None:
    _, network = converted(layout)
    single = copy.deepcopy(network).to("cpu", torch.float32)
    assert all(tensor.dtype == torch.float32 for tensor in single.constants.values())
    assert torch.allclose(single(X.float()).double(), network(X), atol=0.1)
    assert single.double()(X).dtype == torch.float64
    state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    copy.deepcopy(network).load_state_dict(state)


def test_a_large_sparse_adjacency_is_never_made_dense(tmp_path: Path) -> None:
    nodes = 200_000  # dense, a terabyte and more
    generator = torch.Generator().manual_seed(0)
    edges = torch.randint(nodes, (2, 3 * nodes), generator=generator)
    values = torch.rand(3 * nodes, generator=generator, dtype=torch.float64)
    adj = torch.sparse_coo_tensor(edges, values, (nodes, nodes), check_invariants=False)
    x = draw(nodes, FEATURES)
    network = snnconv.convert(GCN(torch.sparse.mm), x, coding=Rate(2), constants={"adj": adj})
    network.save(tmp_path / "network.snn")
    assert (tmp_path / "network.snn").stat().st_size < 20_000_000
    loaded = snnconv.load(tmp_path / "network.snn")
    assert torch.equal(loaded(x), network(x)) and loaded.synapses.bounds == ()


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


class Demanding(nn.Module):
    """A graph convolution that cannot be called without an adjacency."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, HIDDEN, dtype=torch.float64)

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        return F.relu(adj @ self.linear(x))


@pytest.mark.parametrize("batch", [X, (X, adjacency()), (X, adjacency("coo"))], ids=["x", "x, adj", "x, sparse adj"])
def test_a_missing_argument_is_named_with_both_remedies(batch: Any) -> None:
    with pytest.raises(InputError, match=r"forward takes \(x, adj\).*'adj'.*\(\(a, b\), targets\).*constants="):
        snnconv.convert(Demanding(), batch)


def test_an_adjacency_among_the_inputs_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnsupportedModelError, match=r'multiplies two signals(.|\n)*constants=\{"adj": adj\}'):
        snnconv.convert(Demanding(), ((X, adjacency()), None))
    report = snnconv.preflight(Demanding(), (X, adjacency()))
    assert not report.ok and 'constants={"adj": adj}' in report.problems[0].remedy
    with pytest.raises(InputError, match=r"input 1 is sparse.*constants="):
        snnconv.preflight(Demanding(), (X, adjacency("coo")))
    assert snnconv.preflight(Demanding(), X, constants={"adj": adjacency("coo")}).ok


CONSTANTS: dict[str, tuple[Any, type[Exception], str]] = {
    "unknown": ({"graph": adjacency()}, ConfigurationError, "no argument 'graph'; it has x, adj"),
    "all": ({"adj": adjacency(), "x": X}, ConfigurationError, r"binds every argument of forward \(x, adj\)"),
    "no tensor": ({"adj": [[1.0]]}, ConfigurationError, "adj must be a tensor, got list"),
    "no mapping": ([adjacency()], ConfigurationError, "tensors by name"),
    "single precision": ({"adj": adjacency().float()}, ModelError, r"adj is torch\.float32"),
    "NaN": ({"adj": adjacency("coo") * torch.nan}, ModelError, "adj holds NaN"),
    "too small": ({"adj": adjacency()[:3, :3]}, InputError, "the model itself fails"),
    "three axes": ({"adj": torch.rand(2, 2, 2).double().to_sparse_coo()}, InputError, "the model itself fails"),
}


@pytest.mark.parametrize("kind", CONSTANTS)
def test_constants_are_checked(kind: str) -> None:
    constants, error, message = CONSTANTS[kind]
    for function in (snnconv.convert, snnconv.preflight):
        with pytest.raises(error, match=message):
            function(Demanding(), X, constants=constants)


def test_no_constants_are_no_constants() -> None:
    network = snnconv.convert(GCN(torch.mm, adj=adjacency()), X, coding=Rate(4), constants={})
    assert list(network.graph.inputs) == ["x"]


def test_a_later_change_of_the_adjacency_changes_nothing() -> None:
    for adj in (adjacency(), adjacency("coo").coalesce()):
        network = snnconv.convert(GCN(torch.mm), X, coding=Rate(4), constants={"adj": adj})
        before = network(X)
        (adj if adj.layout is torch.strided else adj.values()).zero_()
        assert torch.equal(network(X), before)


class Keyword(nn.Module):
    """The adjacency comes first, and an argument can only be named; names of weights are also those of operations."""

    def __init__(self) -> None:
        super().__init__()
        self.adj = nn.Parameter(draw(NODES, NODES))
        self.relu = nn.Parameter(draw(FEATURES, HIDDEN, seed=1))

    def forward(self, adj: Tensor, x: Tensor, *, gain: Tensor) -> Tensor:
        return torch.relu(adj @ (x @ self.relu) * gain + self.adj.sum(1, keepdim=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_constants_may_stand_anywhere_among_the_arguments(layout: str) -> None:
    model, gain = Keyword(), torch.tensor(2.0, dtype=torch.float64)
    network = snnconv.convert(model, X, coding=Rate(4), constants={"adj": adjacency(layout), "gain": gain})
    with torch.no_grad():
        assert torch.allclose(network.reference(X), model(adjacency(), X, gain=gain), rtol=1e-12)


def test_a_constant_leaves_the_batch_axis_free() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(FEATURES, HIDDEN, dtype=torch.float64)

        def forward(self, shift: Tensor, *inputs: Tensor) -> Tensor:
            return F.relu(self.linear(inputs[0]) + shift)

    network = snnconv.convert(Shifted(), draw(30, FEATURES), coding=Rate(4), constants={"shift": draw(HIDDEN)})
    assert network.batch_axis == 0 and network(draw(3, FEATURES)).shape == (3, HIDDEN)


def test_constants_of_an_exported_program_are_named_too() -> None:
    program = torch.export.export(Demanding(), (X, adjacency("coo")))
    network = snnconv.convert(program, X, coding=Rate(4), constants={"adj": adjacency("coo")})
    with torch.no_grad():
        assert torch.allclose(network.reference(X), program.module()(X, adjacency()))
    with pytest.raises(ConfigurationError, match="it has x, adj"):
        snnconv.convert(program, X, constants={"graph": adjacency()})


SPARSE_ARITHMETIC: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "made dense": lambda adj, h: adj.to_dense() @ h,
    "added": lambda adj, h: torch.sparse.addmm(h, adj, h),
    "scaled": lambda adj, h: (adj * 2.0) @ h,
    "squared": lambda adj, h: (adj @ adj) @ h,
}


@pytest.mark.parametrize("kind", SPARSE_ARITHMETIC)
def test_other_uses_of_a_sparse_constant_are_refused(kind: str) -> None:
    model = GCN(SPARSE_ARITHMETIC[kind])
    with pytest.raises(UnsupportedModelError, match="sparse"):
        snnconv.convert(model, X, constants={"adj": adjacency("coo")})


def test_samples_of_a_graph_network_share_their_shape() -> None:
    free = nn.Sequential(nn.Flatten(0), nn.ReLU())
    with pytest.raises(InputError, match="fixes its first axis"):
        snnconv.convert(free.append(nn.Linear(NODES * FEATURES, 2)).double(), [X, X[:3]])


def change_parts(path: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """The file with other tensors and a checksum that fits them, as somebody with bad intentions would write it."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = safetensors.torch.load_file(path)
    parts = {name.rpartition(".")[2]: name for name in tensors if name.startswith("sparse.")}
    chosen = {part: tensors.pop(name) for part, name in parts.items()}
    change(chosen)
    tensors |= {parts.get(part, f"sparse.argument.adj.{part}"): tensor for part, tensor in chosen.items()}
    metadata["sha256"] = storage._digest(metadata["manifest"], tensors)
    safetensors.torch.save_file(tensors, path, metadata)


def shifted(part: str, by: int) -> Callable[[dict[str, Tensor]], None]:
    def change(parts: dict[str, Tensor]) -> None:
        parts[part] = parts[part] + by

    return change


HOSTILE: dict[str, Callable[[dict[str, Tensor]], None]] = {
    "positions too large": shifted("indices", 1),
    "positions below zero": shifted("indices", -1),
    "out of order": lambda parts: parts.update(indices=parts["indices"].flip(1).contiguous()),
    "repeated": lambda parts: parts["indices"].copy_(parts["indices"][:, :1].clone()),
    "one axis": lambda parts: parts.update(indices=parts["indices"][0].contiguous()),
    "floating positions": lambda parts: parts.update(indices=parts["indices"].double()),
    "too few values": lambda parts: parts.update(values=parts["values"][1:].contiguous()),
    "whole values": lambda parts: parts.update(values=parts["values"].long()),
    "NaN": lambda parts: parts["values"].fill_(torch.nan),
    "no values": lambda parts: parts.__delitem__("values"),
    "no size": lambda parts: parts.__delitem__("size"),
    "three sizes": lambda parts: parts.update(size=torch.tensor([NODES, NODES, 1])),
    "empty": lambda parts: parts.update(size=torch.tensor([0, NODES])),
    "impossible": lambda parts: parts.update(size=torch.tensor([2**62, 2**62])),
    "floating size": lambda parts: parts.update(size=torch.tensor([7.0, 7.0])),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_sparse_matrix_that_cannot_be_is_refused(kind: str, tmp_path: Path) -> None:
    _, network = converted("coo")
    network.save(tmp_path / "network.snn")
    change_parts(tmp_path / "network.snn", HOSTILE[kind])
    with pytest.raises(snnconv.StorageError, match="holds no valid network"):
        snnconv.load(tmp_path / "network.snn")


def test_a_file_that_puts_a_sparse_matrix_elsewhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.snn"
    converted("coo")[1].save(path)
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = safetensors.torch.load_file(path)
    metadata["manifest"] = metadata["manifest"].replace('"ref": "bias"', '"ref": "argument.adj"')
    metadata["sha256"] = storage._digest(metadata["manifest"], tensors)
    safetensors.torch.save_file(tensors, path, metadata)
    with pytest.raises(snnconv.StorageError, match="takes a sparse constant"):
        snnconv.load(path)
