"""Files of networks with sparse matrices: what is read back, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor

import snnconv
from coding import Rate
from snnconv.storage.signed import signature
from tests.support.graph_networks import (
    FEATURES,
    LAYOUTS,
    NODES,
    PlainGCN,
    X,
    converted,
)
from tests.support.networks import draw


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


def test_a_large_sparse_adjacency_is_never_made_dense(tmp_path: Path) -> None:
    nodes = 200_000  # dense, a terabyte and more
    generator = torch.Generator().manual_seed(0)
    edges = torch.randint(nodes, (2, 3 * nodes), generator=generator)
    values = torch.rand(3 * nodes, generator=generator, dtype=torch.float64)
    adj = torch.sparse_coo_tensor(edges, values, (nodes, nodes), check_invariants=False)
    x = draw(nodes, FEATURES)
    network = snnconv.convert(PlainGCN(torch.sparse.mm), x, coding=Rate(2), constants={"adj": adj})
    network.save(tmp_path / "network.snn")
    assert (tmp_path / "network.snn").stat().st_size < 20_000_000
    loaded = snnconv.load(tmp_path / "network.snn")
    assert torch.equal(loaded(x), network(x)) and loaded.synapses.bounds == ()


def change_parts(path: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """The file with other tensors and a checksum that fits them, as somebody with bad intentions would write it."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = safetensors.torch.load_file(path)
    parts = {name.rpartition(".")[2]: name for name in tensors if name.startswith("sparse.")}
    chosen = {part: tensors.pop(name) for part, name in parts.items()}
    change(chosen)
    tensors |= {parts.get(part, f"sparse.argument.adj.{part}"): tensor for part, tensor in chosen.items()}
    metadata["sha256"] = signature(metadata["manifest"], tensors)
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
    metadata["sha256"] = signature(metadata["manifest"], tensors)
    safetensors.torch.save_file(tensors, path, metadata)
    with pytest.raises(snnconv.StorageError, match="takes a sparse constant"):
        snnconv.load(path)
