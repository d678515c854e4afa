"""Graph networks for tests: an adjacency in every layout, and models that take it as an argument or hold it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import snnconv
from coding import Rate
from snnconv import SpikingNetwork
from tests.support.networks import draw

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


class PlainGCN(nn.Module):
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


@functools.cache
def converted(layout: str, product: str = "@") -> tuple[PlainGCN, SpikingNetwork]:
    """A model and its network, made once for all tests, which leave them as they are."""
    model = PlainGCN(PRODUCTS[product])
    network = snnconv.convert(model, X, coding=Rate(256), percentile=100, constants={"adj": adjacency(layout)})
    return model, network


def output(model: PlainGCN) -> Tensor:
    with torch.no_grad():
        result: Tensor = model.eval()(X, adjacency())
    return result


class Demanding(nn.Module):
    """A graph convolution that cannot be called without an adjacency."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, HIDDEN, dtype=torch.float64)

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        return F.relu(adj @ self.linear(x))
