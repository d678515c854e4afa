"""Linear functions as models write them, by family: what each computes, and on which shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snnconv.testing.require import drawn
from tests.support.operators import Apply

IMAGE, SEQUENCE, VECTOR, VOLUME = (4, 5, 6), (4, 7), (24,), (4, 3, 3, 2)
Case = tuple[Callable[[], nn.Module], tuple[int, ...]]

ORDER = torch.randperm(24, generator=torch.Generator().manual_seed(1))[:10]
PLACE = torch.randint(0, 5, (24,), generator=torch.Generator().manual_seed(2))
MASK = PLACE < 3
MATRIX = drawn(24, 7, seed=3) + 5.0  # no zero, and sums of any two rows are none
WEIGHTS = MATRIX[:, 0]


def on(shape: tuple[int, ...], function: Callable[..., Any], constant: Tensor | None = None) -> Case:
    """A function as a model, on samples of this shape."""
    return lambda: Apply(function, constant), shape


def _assigned(x: Tensor, places: Tensor) -> Tensor:
    result = x.clone()
    result[:, places] = 2 * x[:, :10]
    return result


def _slice_assigned(x: Tensor) -> Tensor:
    result = x.clone()
    result[:, 0] = 2 * x[:, 1]
    result[:, 1:3, ::2] = 0.5
    return result


def _zeros_assigned(x: Tensor) -> Tensor:
    result = torch.zeros_like(x)
    result[..., ::2] = x[..., 1::2]
    result[:, -1] += x[:, :1, :, 0].transpose(1, 2)
    return result


TRANSPOSED: dict[str, Case] = {
    "1-d, stride 3": (lambda: nn.ConvTranspose1d(4, 6, 5, stride=3), SEQUENCE),
    "1-d, output padding, groups": (
        lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        SEQUENCE,
    ),
    "2-d, stride 2": (lambda: nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1), IMAGE),
    "2-d, kernel smaller than its stride": (lambda: nn.ConvTranspose2d(4, 3, (1, 2), (2, 3), bias=False), IMAGE),
    "2-d, dilation, a group a channel": (lambda: nn.ConvTranspose2d(4, 8, 3, dilation=2, groups=4), IMAGE),
    "2-d, padding that crops": (lambda: nn.ConvTranspose2d(4, 2, 2, stride=2, padding=1), IMAGE),
    "2-d, batch norm behind": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), nn.BatchNorm2d(6)),
        IMAGE,
    ),
    "3-d": (lambda: nn.ConvTranspose3d(4, 2, 2, stride=2), VOLUME),
}

RESIZED: dict[str, Case] = {
    "linear": (lambda: nn.Upsample(scale_factor=2, mode="linear"), SEQUENCE),
    "bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    "bilinear, corners aligned": (lambda: nn.Upsample(size=(9, 11), mode="bilinear", align_corners=True), IMAGE),
    "bilinear, smaller": (lambda: nn.Upsample(size=(3, 2), mode="bilinear"), IMAGE),
    "bilinear, another factor an axis": (lambda: nn.Upsample(scale_factor=(1.5, 2.5), mode="bilinear"), IMAGE),
    "bilinear, antialiased": on(IMAGE, lambda x: F.interpolate(x, (3, 2), mode="bilinear", antialias=True)),
    "bicubic": (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), IMAGE),
    "bicubic, antialiased": on(IMAGE, lambda x: F.interpolate(x, (3, 4), mode="bicubic", antialias=True)),
    "trilinear": (lambda: nn.Upsample(scale_factor=2, mode="trilinear"), VOLUME),
    "nearest-exact": (lambda: nn.Upsample(size=(7, 9), mode="nearest-exact"), IMAGE),
    "nearest-exact of volumes": (lambda: nn.Upsample(scale_factor=1.5, mode="nearest-exact"), VOLUME),
    "area": (lambda: nn.Upsample(size=(3, 4), mode="area"), IMAGE),
}

TENSOR_CODE: dict[str, Case] = {
    "repeat": on(VECTOR, lambda x: x.repeat(1, 2)),
    "repeat in front of a new axis": on(VECTOR, lambda x: x.view(-1, 4, 6).repeat(1, 2, 3)),
    "tile": on(IMAGE, lambda x: x.tile(1, 2, 1, 1)),
    "repeat_interleave": on(VECTOR, lambda x: x.repeat_interleave(3, dim=1)),
    "roll over two axes": on(IMAGE, lambda x: x.roll((1, 2), (1, 3))),
    "rot90": on(IMAGE, lambda x: x.rot90(1, (2, 3))),
    "narrow": on(VECTOR, lambda x: x.narrow(1, 3, 5)),
    "addmm": on(VECTOR, lambda x, c: torch.addmm(c[0], x, c, beta=0.5, alpha=2.0), MATRIX),
    "baddbmm": on(SEQUENCE, lambda x, c: torch.baddbmm(c[:4, :4], x, c[:7].expand(x.shape[0], 7, 7)[..., :4]), MATRIX),
    "mv": on(VECTOR, lambda x, c: (x @ c[:, 0]).unsqueeze(1), MATRIX),
    "outer product": on(VECTOR, lambda x, c: x.unsqueeze(2) * c[:7, 0], MATRIX),
    "inner": on(VECTOR, lambda x, c: torch.inner(x, c.t()), MATRIX),
    "tensordot": on(VECTOR, lambda x, c: torch.tensordot(x, c, 1), MATRIX),
    "addcmul": on(VECTOR, lambda x, c: torch.addcmul(x, x, c[:, 0], value=0.5), MATRIX),
    "addcdiv": on(VECTOR, lambda x, c: torch.addcdiv(c[:, 0], x, c[:, 1], value=0.5), MATRIX),
    "lerp": on(VECTOR, lambda x: x.lerp(x.flip(1), 0.25)),
    "lerp to a constant": on(VECTOR, lambda x, c: torch.lerp(x, c[:, 0], c[:, 1] / 10), MATRIX),
    "einsum": on(VECTOR, lambda x, c: torch.einsum("nc,ck->nk", x, c), MATRIX),
    "einsum of blocks": on(SEQUENCE, lambda x, c: torch.einsum("nhc,chk->nhk", x, c.view(7, 4, 6)), MATRIX),
    "cumsum": on(VECTOR, lambda x: x.cumsum(1)),
    "cumsum of images": on(IMAGE, lambda x: x.cumsum(-1)),
    "differences": on(VECTOR, lambda x: x.diff(dim=1)),
    "unfold": on(VECTOR, lambda x: x.unfold(1, 4, 3)),
    "unfold of images": on(IMAGE, lambda x: x.unfold(2, 2, 1).unfold(3, 3, 2)),
    "windows as columns": on(IMAGE, lambda x: F.unfold(x, (2, 3), padding=(1, 0), stride=(1, 2), dilation=(2, 1))),
    "columns as an image": on(VECTOR, lambda x: F.fold(x.view(-1, 4, 6), (3, 4), (2, 2))),
    "columns that leave gaps": on(VECTOR, lambda x: F.fold(x.view(-1, 4, 6), (6, 3), 2, stride=(2, 1))),
    "diagonal": on(IMAGE, lambda x: x.diagonal(1, 2, 3)),
    "diagonal of other axes": on(IMAGE, lambda x: x.diagonal(-1, 3, 1)),
    "diag_embed": on(SEQUENCE, lambda x: x.diag_embed()),
    "diag_embed to other axes": on(SEQUENCE, lambda x: x.diag_embed(1, 1, -1)),
    "expand_as": on(IMAGE, lambda x: x - x.mean((2, 3), keepdim=True).expand_as(x)),
    "tril": on(IMAGE, lambda x: x.tril()),
    "triu": on(IMAGE, lambda x: x.triu(2)),
    "all axes but the batch": on(IMAGE, lambda x: x.mean((1, 2, 3))),
    "true_divide": on(VECTOR, lambda x, c: torch.true_divide(x, c[:, 0]), MATRIX),
}

INDEXED: dict[str, Case] = {
    "index_select": on(VECTOR, lambda x, c: x.index_select(1, c), ORDER),
    "a list of indices": on(VECTOR, lambda x: x[:, [3, 1, 2, 3]]),
    "indices from the end": on(VECTOR, lambda x: x[:, [-1, 0]]),
    "lists for two axes": on(IMAGE, lambda x: x[:, :, [3, 1, 2, 3], [0, 5, 2, 0]]),
    "lists for two axes apart": on(IMAGE, lambda x: x[:, [3, 1, 0], :, [0, 5, 2]]),
    "a table of indices": on(VECTOR, lambda x, c: x[:, c.view(2, 5)], ORDER),
    "a mask": on(VECTOR, lambda x, c: x[:, c], MASK),
    "a mask of two axes": on(SEQUENCE, lambda x, c: x[:, c[:, :7]], PLACE[:20].view(2, 10).repeat(2, 1) < 3),
    "gather": on(VECTOR, lambda x, c: x.gather(1, c.expand(x.shape[0], -1)), ORDER),
    "gather, another index at every row": on(
        SEQUENCE, lambda x, c: x.gather(2, c.expand(x.shape[0], -1, -1)), PLACE.view(4, 6)
    ),
    "index_add": on(VECTOR, lambda x, c: x.new_zeros(x.shape[0], 5).index_add(1, c, x, alpha=0.5), PLACE),
    "index_add to a signal": on(VECTOR, lambda x, c: x.index_add(1, c, x[:, :10] * 2), ORDER),
    "index_copy": on(VECTOR, lambda x, c: torch.zeros(x.shape[0], 30).to(x).index_copy(1, c, 2 * x[:, :10]), ORDER),
    "index_copy over a signal": on(VECTOR, lambda x, c: x.index_copy(1, c, 3 * x[:, :10]), ORDER),
    "index_put": on(VECTOR, _assigned, ORDER),
    "index_put that adds": on(
        SEQUENCE, lambda x, c: torch.ops.aten.index_put(x, [None, None, c[:5]], x[..., :5], True), PLACE
    ),
    "index_fill": on(VECTOR, lambda x, c: x.index_fill(1, c, 2.0), ORDER),
    "scatter": on(VECTOR, lambda x, c: x.scatter(1, c.expand(x.shape[0], -1), 2 * x[:, :10]), ORDER),
    "scatter of a number": on(VECTOR, lambda x, c: x.scatter(1, c.expand(x.shape[0], -1), 1.5), ORDER),
    "scatter_add": on(
        VECTOR, lambda x, c: torch.zeros(x.shape[0], 5).to(x).scatter_add(1, c.expand(x.shape[0], -1), x), PLACE
    ),
    "scatter_add at every row": on(
        SEQUENCE, lambda x, c: x.scatter_add(2, c.expand(x.shape[0], -1, -1), 2 * x[..., :6]), PLACE.view(4, 6)
    ),
    "a slice that is assigned": on(IMAGE, _slice_assigned),
    "slices of zeros that are assigned": on(IMAGE, _zeros_assigned),
    "slice_scatter": on(VECTOR, lambda x: x.new_zeros(x.shape[0], 30).slice_scatter(x, 1, 2, 26)),
    "slice_scatter with a step": on(SEQUENCE, lambda x: x.slice_scatter(2 * x[..., :3], 2, 1, 7, 2)),
    "select_scatter": on(SEQUENCE, lambda x: x.select_scatter(x[:, 0] * 2, 1, 2)),
    "masked_fill": on(VECTOR, lambda x, c: x.masked_fill(c, 0.5), MASK),
    "masked_fill of two axes": on(SEQUENCE, lambda x, c: x.masked_fill(c, 0.0), (PLACE < 3)[:7] | MASK[:4, None]),
}


PADDED: dict[str, Case] = {
    f"{mode}, {len(pad) // 2}-d": on(shape, lambda x, mode=mode, pad=pad: F.pad(x, pad, mode=mode))
    for mode in ("reflect", "replicate", "circular")
    for shape, pad in ((SEQUENCE, (2, 1)), (IMAGE, (2, 1, 0, 3)), (VOLUME, (1, 0, 2, 1, 1, 2)))
}

POOLED: dict[str, Case] = {
    "1-d, overlapping": (lambda: nn.AvgPool1d(3, 1, padding=1), SEQUENCE),
    "2-d, ceil, own divisor": (lambda: nn.AvgPool2d(2, ceil_mode=True, divisor_override=3), IMAGE),
    "3-d, ceil": (lambda: nn.AvgPool3d(2, ceil_mode=True), VOLUME),
    "3-d, padding not counted": (lambda: nn.AvgPool3d(2, 1, padding=1, count_include_pad=False), VOLUME),
    "adaptive 1-d": (lambda: nn.AdaptiveAvgPool1d(3), SEQUENCE),
    "adaptive 2-d, one axis kept": (lambda: nn.AdaptiveAvgPool2d((3, None)), IMAGE),
    "adaptive 3-d": (lambda: nn.AdaptiveAvgPool3d((2, 2, 1)), VOLUME),
}

FAMILIES: dict[str, dict[str, Case]] = {
    "transposed": TRANSPOSED,
    "resized": RESIZED,
    "tensor code": TENSOR_CODE,
    "indexed": INDEXED,
    "padded": PADDED,
    "pooled": POOLED,
}
LINEAR = {f"{family}: {name}": case for family, cases in FAMILIES.items() for name, case in cases.items()}
