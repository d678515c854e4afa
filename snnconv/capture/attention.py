"""Attention written out: products of scores, softmax and values, as ATen's operators define it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query key^T scale + mask) value; rows without any key are 0, as torch has it."""
    if enable_gqa:
        key, value = (_repeated(each, query.shape[-3]) for each in (key, value))
    scores = (query @ key.transpose(-2, -1)) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is None:
        weights = scores.softmax(-1)
    elif attn_mask.dtype is torch.bool:
        weights = torch.ops.aten._safe_softmax(scores.masked_fill(attn_mask.logical_not(), -math.inf), -1)
    else:
        weights = torch.ops.aten._safe_softmax(scores + attn_mask, -1)
    return (torch.dropout(weights, dropout_p, True) if dropout_p > 0 else weights) @ value


def _repeated(heads: Tensor, number: int) -> Tensor:
    """Each of the heads on axis -3 as often as it takes to have this ``number`` of them."""
    times = number // heads.shape[-3]
    return heads.unsqueeze(-3).expand(*heads.shape[:-2], times, *heads.shape[-2:]).flatten(-4, -3)


#: What operators of ATen are made of, by operator.
ATTENTION: dict[torch._ops.OperatorBase, Callable[..., Any]] = {
    torch.ops.aten.scaled_dot_product_attention.default: _attention,
}
