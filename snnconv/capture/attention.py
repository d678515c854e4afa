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


def _fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim: int,
    num_head: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    mask: Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> tuple[Tensor, Tensor]:
    """``nn.MultiheadAttention`` in one operator, for inference; a mask of the type 1 is one of keys."""
    layers = zip((query, key, value), qkv_weight.chunk(3), qkv_bias.chunk(3), strict=True)
    mixed = (torch.nn.functional.linear(given, weight, bias) for given, weight, bias in layers)
    q, k, v = (each.reshape(*each.shape[:-1], num_head, -1).transpose(1, 2) for each in mixed)
    scores = (q @ k.transpose(-2, -1)) * (1 / math.sqrt(embed_dim // num_head))
    if mask is not None:
        forbidden = mask.bool()[:, None, None, :] if mask_type == 1 else mask.bool()
        scores = scores.masked_fill(forbidden, -math.inf)
    weights = scores.softmax(-1)
    result = torch.nn.functional.linear((weights @ v).transpose(1, 2).flatten(2), proj_weight, proj_bias)
    if not need_weights:
        return result, result.new_zeros(0)
    return result, weights.mean(1) if average_attn_weights else weights


def _fused_layer(
    src: Tensor,
    embed_dim: int,
    num_heads: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    norm_weight_1: Tensor,
    norm_bias_1: Tensor,
    norm_weight_2: Tensor,
    norm_bias_2: Tensor,
    ffn_weight_1: Tensor,
    ffn_bias_1: Tensor,
    ffn_weight_2: Tensor,
    ffn_bias_2: Tensor,
    mask: Tensor | None = None,
    mask_type: int | None = None,
) -> Tensor:
    """``nn.TransformerEncoderLayer`` in one operator, for inference."""
    linear, layer_norm = torch.nn.functional.linear, torch.nn.functional.layer_norm
    activation = torch.nn.functional.gelu if use_gelu else torch.relu
    first, second = (norm_weight_1, norm_bias_1, eps), (norm_weight_2, norm_bias_2, eps)
    own = (qkv_weight, qkv_bias, proj_weight, proj_bias)

    def attended(x: Tensor) -> Tensor:
        return _fused_attention(x, x, x, embed_dim, num_heads, *own, mask, False, True, mask_type)[0]

    def widened(x: Tensor) -> Tensor:
        return linear(activation(linear(x, ffn_weight_1, ffn_bias_1)), ffn_weight_2, ffn_bias_2)

    if norm_first:
        src = src + attended(layer_norm(src, [embed_dim], *first))
        return src + widened(layer_norm(src, [embed_dim], *second))
    src = layer_norm(src + attended(src), [embed_dim], *first)
    return layer_norm(src + widened(src), [embed_dim], *second)


#: What operators of ATen are made of, by operator.
ATTENTION: dict[torch._ops.OperatorBase, Callable[..., Any]] = {
    torch.ops.aten.scaled_dot_product_attention.default: _attention,
    torch.ops.aten._native_multi_head_attention.default: _fused_attention,
    torch.ops.aten._transformer_encoder_layer_fwd.default: _fused_layer,
}
