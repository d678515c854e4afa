"""Einstein sums: what torch computes, with the axis of the batch by itself."""

from __future__ import annotations

import pytest
import torch

from snnconv.capture.einsum import einsum

SIZES = dict(zip("nlmdehqk", (2, 3, 4, 5, 2, 3, 4, 5), strict=True))
EQUATIONS = (
    "nld,nmd->nlm",
    "...ld,...de",
    "n...d,de",
    "nqhd,nkhd->nhqk",
    "nhqk,nkhd->nqhd",
    "nld,de->nle",
    "de,nld->nle",
    "nlhd,hde->nlhe",
    "hd,nqd->nqh",
    "nd,nd->n",
    "nd,nd->nd",
    "nd,ne->nde",
    "nd,d",
    "nld->nl",
    "nld->ndl",
    "nlm,nmd,de->nel",
    "nld,nmd->",
    "ndd->nd",
    "...d,de->...e",
    "n...d,nd->n...",
    "nqhd, nkhd -> nkhq",
)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_the_sum_is_torchs(equation: str) -> None:
    torch.manual_seed(0)
    terms = equation.replace(" ", "").split("->")[0].split(",")
    shapes = [[SIZES[label] for label in term.replace("n...", "nlm").replace("...", "nl")] for term in terms]
    tensors = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
    torch.testing.assert_close(einsum(equation, tensors), torch.einsum(equation, *tensors))
