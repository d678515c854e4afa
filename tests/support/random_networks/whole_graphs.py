"""Lines that fix the number of samples, so that one call takes one whole graph; networks of a batch leave them out."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Written, rule
from tests.support.random_networks.script import Signal


@rule("_sparse_mm", takes=lambda _, shape: len(shape) == 1)
def sparse_product(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    rows = draw(st.integers(1, 4))
    places = f"torch.arange({rows * x.shape[0]}).view({rows}, {x.shape[0]}) % 3 < 2"
    matrix = f"nn.Buffer(torch.where({places}, 1.5, 0.0).to_sparse())"
    return Written("torch.sparse.mm({own}, {0}.t()).t()", (x,), matrix)
