"""Small networks with norms, softmax and attention; each covers one way in which people write them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, TOKENS, HEADS = 8, 5, 2

Body = Callable[["Block", Tensor], Tensor]


class Block(nn.Module):
    """Layers for a transformer block on inputs ``[N, 5, 8]``, and a body that uses them between ``a`` and the head."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.a, self.b, self.c, self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(7))
        self.norm, self.other_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.groups, self.instance = nn.GroupNorm(2, TOKENS + 1), nn.InstanceNorm1d(TOKENS, affine=True)
        self.grow, self.shrink, self.head = nn.Linear(WIDTH, 16), nn.Linear(16, WIDTH), nn.Linear(WIDTH, 3)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.encoder = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, batch_first=True, activation="gelu")
        self.weight = nn.Parameter(torch.rand(WIDTH) + 0.5)
        self.bias = nn.Parameter(torch.randn(HEADS, TOKENS, TOKENS) * 0.3)
        positions = torch.arange(TOKENS)
        self.register_buffer("causal", positions[:, None] >= positions)
        self.register_buffer("slopes", -0.1 * (positions[:, None] - positions).abs().float())
        self.register_buffer("padded", torch.tensor([True, True, False, True, True]))
        for name, parameter in self.named_parameters():
            if "norm" in name:
                nn.init.uniform_(parameter, 0.5, 1.5)
        self._body = body

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self._body(self, self.a(x)))
        return result


def heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def layer_norm(m: Block, x: Tensor) -> Tensor:
    return m.norm(x)


def layer_norm_by_hand(m: Block, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-5) * m.weight


def layer_norm_by_variance(m: Block, x: Tensor) -> Tensor:
    variance, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + 1e-5)


def standardised(m: Block, x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-3)


def rms_norm(m: Block, x: Tensor) -> Tensor:
    return F.rms_norm(x, (WIDTH,), m.weight, 1e-6)


def rms_norm_of_llama(m: Block, x: Tensor) -> Tensor:
    return m.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


def group_norm(m: Block, x: Tensor) -> Tensor:
    return m.groups(torch.cat([x, x[:, :1]], 1))[:, 1:]


def instance_norm(m: Block, x: Tensor) -> Tensor:
    return m.instance(x)


def unit_length(m: Block, x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1) + x / (torch.linalg.vector_norm(x, 1, -1, keepdim=True) + 0.1)


def channels_first(m: Block, x: Tensor) -> Tensor:
    return m.norm(x.transpose(1, 2).unsqueeze(-1).permute(0, 2, 3, 1)).permute(0, 3, 1, 2).squeeze(-1).transpose(1, 2)


def softmax(m: Block, x: Tensor) -> Tensor:
    return x.softmax(-1) + m.b(x).softmax(1)


def softmax_by_hand(m: Block, x: Tensor) -> Tensor:
    weights = torch.exp(x - x.amax(-1, keepdim=True))
    return weights / weights.sum(-1, keepdim=True)


def attention(m: Block, x: Tensor) -> Tensor:
    return m.o(joined(F.scaled_dot_product_attention(heads(m.q(x)), heads(m.k(x)), heads(m.v(x)))))


def attention_by_hand(m: Block, x: Tensor) -> Tensor:
    q, k, v = heads(m.q(x)), heads(m.k(x)), heads(m.v(x))
    weights = F.dropout((q @ k.transpose(-2, -1) / math.sqrt(WIDTH / HEADS)).softmax(-1), 0.1, m.training)
    return m.o(joined(weights @ v))


def attention_of_einsum(m: Block, x: Tensor) -> Tensor:
    q, k, v = (layer(x).unflatten(-1, (HEADS, -1)) for layer in (m.q, m.k, m.v))
    weights = torch.einsum("nqhd,nkhd->nhqk", q * 0.5, k).softmax(-1)
    return m.o(torch.einsum("nhqk,nkhd->nqhd", weights, v).flatten(2))


def attention_from_the_right(m: Block, x: Tensor) -> Tensor:
    weights = (m.q(x) @ m.k(x).transpose(1, 2)).softmax(-1)
    return m.o((m.v(x).transpose(1, 2) @ weights.transpose(1, 2)).transpose(1, 2))


def causal(m: Block, x: Tensor) -> Tensor:
    q, k, v = heads(m.q(x)), heads(m.k(x)), heads(m.v(x))
    return m.o(joined(F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.7)))


def masked(m: Block, x: Tensor) -> Tensor:
    """A causal mask with finite biases, as attention with linear biases (ALiBi) has it, by minus infinity."""
    q, k, v = heads(m.q(x)), heads(m.k(x)), heads(m.v(x))
    mask = torch.where(m.causal, m.slopes.to(x.dtype), -math.inf)
    return m.o(joined(F.scaled_dot_product_attention(q, k, v, attn_mask=mask)))


def padded(m: Block, x: Tensor) -> Tensor:
    """Token 2 is no key, by a mask of the smallest number of the type, and a causal mask beside it."""
    scores = heads(m.q(x)) @ heads(m.k(x)).transpose(-2, -1) + m.bias
    scores = scores.masked_fill(~m.causal, torch.finfo(x.dtype).min)
    scores = scores + torch.where(m.padded, 0.0, -1e9)
    return m.o(joined(scores.softmax(-1) @ heads(m.v(x))))


def without_keys(m: Block, x: Tensor) -> Tensor:
    """Rows 0 and 1 have no key: their attention is 0."""
    allowed = m.causal & (torch.arange(TOKENS) > 1)
    q, k, v = heads(m.q(x)), heads(m.k(x)), heads(m.v(x))
    return x + m.o(joined(F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)))


def chosen(m: Block, x: Tensor) -> Tensor:
    scores = torch.where(m.causal, heads(m.q(x)) @ heads(m.k(x)).transpose(-2, -1), -math.inf)
    return m.o(joined(scores.softmax(-1) @ heads(m.v(x))))


def few_keys(m: Block, x: Tensor) -> Tensor:
    """Two heads of queries share one of keys and values."""
    q, k, v = heads(m.q(x)), *(layer(x)[..., : WIDTH // HEADS].unsqueeze(1) for layer in (m.k, m.v))
    return m.o(joined(F.scaled_dot_product_attention(q, k, v, enable_gqa=True)))


def of_torch(m: Block, x: Tensor) -> Tensor:
    return m.attention(x, x, x, need_weights=False)[0]


def of_torch_with_weights(m: Block, x: Tensor) -> Tensor:
    """The batch is folded into the heads, and the mean of all heads' weights is part of the result."""
    mixed, weights = m.attention(x, x, x, attn_mask=~m.causal)
    return mixed + weights @ x


def of_torch_and_a_mask(m: Block, x: Tensor) -> Tensor:
    return m.attention(x, x, x, attn_mask=~m.causal, need_weights=False)[0]


def folded_heads(m: Block, x: Tensor) -> Tensor:
    """Products of ``bmm`` over samples and heads at once, with a mask that is made for the batch."""
    n, tokens, width = x.shape
    q, k, v = (
        layer(x).view(n, tokens, HEADS, width // HEADS).transpose(1, 2).reshape(n * HEADS, tokens, -1)
        for layer in (m.q, m.k, m.v)
    )
    mask = torch.full((tokens, tokens), torch.finfo(x.dtype).min, dtype=x.dtype).triu(1)
    scores = torch.bmm(q, k.transpose(1, 2)).view(n, HEADS, tokens, tokens) + mask.expand(n, 1, tokens, tokens)
    mixed = torch.bmm(scores.view(n * HEADS, tokens, tokens).softmax(-1), v)
    return m.o(mixed.view(n, HEADS, tokens, -1).transpose(1, 2).reshape(n, tokens, width))


def folded_windows(m: Block, x: Tensor) -> Tensor:
    """Windows of three tokens as samples of their own, shifted by one, as in Swin."""
    n, shifted = x.shape[0], F.pad(x, (0, 0, 0, 1)).roll(-1, 1)
    windows = m.norm(shifted.view(n * 2, 3, WIDTH))
    q, k, v = m.c(windows).unsqueeze(1).chunk(1)[0], m.k(windows).unsqueeze(1), m.v(windows).unsqueeze(1)
    scores = (q @ k.transpose(-2, -1)).view(n, 2, 1, 3, 3)
    mask = torch.zeros(2, 1, 3, 3, dtype=x.dtype)
    mask[1, :, :2, 2] = mask[1, :, 2, :2] = -100000.0
    mixed = (scores + mask).view(n * 2, 1, 3, 3).softmax(-1) @ v
    return F.gelu(mixed.squeeze(1)).view(n, 6, WIDTH).roll(1, 1)[:, :TOKENS]


def linear_attention(m: Block, x: Tensor) -> Tensor:
    q, k, v = F.elu(m.q(x)) + 1, F.elu(m.k(x)) + 1, m.v(x)
    return (q @ (k.transpose(1, 2) @ v)) / (q @ k.sum(1).unsqueeze(-1) + 1e-6)


def encoder_layer(m: Block, x: Tensor) -> Tensor:
    return m.encoder(x)


def before_the_norm(m: Block, x: Tensor) -> Tensor:
    x = x + causal(m, m.norm(x))
    return x + m.shrink(F.gelu(m.grow(m.other_norm(x))))


#: Bodies by what they are called.
BODIES: dict[str, Body] = {
    each.__name__.replace("_", " "): each
    for each in (
        layer_norm,
        layer_norm_by_hand,
        layer_norm_by_variance,
        standardised,
        rms_norm,
        rms_norm_of_llama,
        group_norm,
        instance_norm,
        unit_length,
        channels_first,
        softmax,
        softmax_by_hand,
        attention,
        attention_by_hand,
        attention_of_einsum,
        attention_from_the_right,
        causal,
        masked,
        padded,
        without_keys,
        chosen,
        few_keys,
        of_torch,
        of_torch_with_weights,
        of_torch_and_a_mask,
        folded_heads,
        folded_windows,
        linear_attention,
        encoder_layer,
        before_the_norm,
    )
}


def transformer(name: str, samples: int = 24) -> tuple[Block, Tensor]:
    """The network with the body of this name in double precision, with inputs ``[samples, 5, 8]``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Block(BODIES[name]).double().eval().requires_grad_(False)
        return model, torch.randn(samples, TOKENS, WIDTH, dtype=torch.float64)
