"""Small arguments of linear operators, as ``check_operator`` takes them: the signal first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from snnconv.testing.require import drawn

IMAGE, SEQUENCE, VECTOR, VOLUME = (2, 2, 4, 4), (2, 2, 5), (2, 4), (2, 1, 4, 4, 3)
TRANSPOSED: dict[str, Any] = {"stride": [2], "padding": [1], "output_padding": [1], "groups": 1, "dilation": [1]}
COLUMNS: dict[str, Any] = {"kernel_size": [2, 3], "dilation": [1, 1], "padding": [0, 1], "stride": [1, 2]}
PLACES = torch.tensor([2, 0, 2])


def on(shape: tuple[int, ...], op: str, name: str = "self", **rest: Any) -> tuple[str, dict[str, Any]]:
    """An example of ``op``: a signal of this shape as the argument ``name``, then the others."""
    return op, {name: drawn(*shape, seed=0), **rest}


def linear_examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """An example of every operator that picks, places, resizes or sums elements by fixed weights."""
    for axes, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME)):
        weight = drawn(shape[1], 3, *(2,) * axes, seed=3) + 0.5
        yield on(shape, f"conv_transpose{axes}d", "input", weight=weight, bias=torch.ones(3), **TRANSPOSED)
        yield on(shape, f"_upsample_nearest_exact{axes}d", output_size=[5] * axes, scale_factors=None)
    for kind, shape in (("linear1d", SEQUENCE), ("bilinear2d", IMAGE), ("bicubic2d", IMAGE), ("trilinear3d", VOLUME)):
        size = [3, 7, 4][: len(shape) - 2]
        yield on(shape, f"upsample_{kind}", "input", output_size=size, align_corners=False, scale_factors=None)
        if kind in ("bilinear2d", "bicubic2d"):
            name = f"_upsample_{kind}_aa"
            yield on(shape, name, "input", output_size=[3, 3], align_corners=False, scale_factors=None)
    yield on(SEQUENCE, "cumsum", dim=2, dtype=None)
    yield on(SEQUENCE, "unfold", dimension=2, size=3, step=1)
    yield on(IMAGE, "im2col", **COLUMNS)
    yield on((2, 12, 6), "col2im", output_size=[4, 4], **COLUMNS)
    yield on(IMAGE, "diagonal", offset=1, dim1=3, dim2=2)
    yield on(SEQUENCE, "diag_embed", offset=-1, dim1=1, dim2=3)
    yield on(IMAGE, "tril", diagonal=0)
    yield on(IMAGE, "triu", diagonal=1)
    yield on(IMAGE, "masked_fill", mask=torch.tensor([True, False, False, True]), value=2.0)
    yield from picked_examples()
    yield from written_examples()


def picked_examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Operators that pick elements by constant indices."""
    yield on(SEQUENCE, "index_select", dim=2, index=PLACES)
    yield on(SEQUENCE, "gather", dim=2, index=PLACES.expand(2, 2, 3), sparse_grad=False)
    yield on(IMAGE, "index", indices=[None, PLACES % 2, PLACES])
    yield on(SEQUENCE, "_unsafe_index", indices=[None, None, torch.tensor([True, False, True, True, False])])


def written_examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Operators that write or add elements at constant indices; the signal is what is written."""
    into, index = torch.ones(2, 2, 5), PLACES.expand(2, 2, 3)
    yield (
        "index_add",
        {"self": drawn(*SEQUENCE, seed=0), "dim": 2, "index": PLACES, "source": torch.ones(2, 2, 3), "alpha": 2},
    )
    yield "index_copy", {"self": drawn(*SEQUENCE, seed=0), "dim": 2, "index": PLACES[:2], "source": torch.ones(2, 2, 2)}
    yield on(SEQUENCE, "scatter", dim=2, index=index, value=3.0)
    yield on(SEQUENCE, "scatter_add", dim=2, index=index, src=into[..., :3])
    yield on(SEQUENCE, "scatter_reduce", dim=2, index=index, src=into[..., :3], reduce="sum", include_self=True)
    yield on(SEQUENCE, "slice_scatter", src=into[..., :2], dim=2, start=1, end=4, step=2)
    yield on(SEQUENCE, "select_scatter", src=into[..., 0], dim=2, index=1)
    yield on(SEQUENCE, "index_put", indices=[None, torch.tensor([1])], values=into[0, 0], accumulate=False)
