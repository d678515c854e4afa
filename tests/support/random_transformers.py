"""Random small transformers: masks, heads, norms and codes drawn from a seed, and what they must keep."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnconv
from snnconv.coding import Code, FewSpike, OneSpike, Phase, TableSpike
from snnconv.simulators.run import Run

SAMPLES = 6


@dataclass(frozen=True)
class Drawn:
    """What a transformer is like; ``padding`` says whether a mask comes with every sample."""

    tokens: int
    heads: int
    shared: bool  # one head of keys and values for all of queries
    size: int  # of a head
    norm: str
    first: bool  # norms in front of attention and layers, else behind
    activation: str
    mask: str
    padding: bool
    by_hand: bool
    codes: dict[str, Code]

    @staticmethod
    def of(seed: int) -> Drawn:
        """The transformer of this seed."""
        draw = random.Random(seed)
        codes = [OneSpike(12), FewSpike(6, spikes=3), Phase(8), TableSpike(12)]
        return Drawn(
            tokens=draw.randint(2, 5),
            heads=draw.choice([1, 2]),
            shared=draw.random() < 0.4,
            size=draw.choice([2, 4]),
            norm=draw.choice(["layer", "root mean square"]),
            first=draw.random() < 0.5,
            activation=draw.choice(["gelu", "relu", "swiglu"]),
            mask=draw.choice(["none", "causal", "window", "bias", "learned bias", "boolean"]),
            padding=draw.random() < 0.5,
            by_hand=draw.random() < 0.5,
            codes={"*score": draw.choice(codes), "*value": draw.choice(codes), "*": draw.choice(codes)},
        )


class _Attention(nn.Module):
    def __init__(self, drawn: Drawn) -> None:
        super().__init__()
        self.drawn, width = drawn, drawn.heads * drawn.size
        few = drawn.size if drawn.shared else width
        self.q, self.k, self.v = nn.Linear(width, width), nn.Linear(width, few), nn.Linear(width, few)
        self.bias = nn.Parameter(torch.randn(drawn.heads, drawn.tokens, drawn.tokens) * 0.5)
        places = torch.arange(drawn.tokens)
        apart = places[:, None] - places
        masks = {"window": apart.abs() <= 1, "boolean": (torch.rand(apart.shape) < 0.6) | (apart == 0)}
        mask = masks.get(drawn.mask, apart >= 0)
        if drawn.by_hand and drawn.padding:
            mask[:, 0] = True  # the first token is never padded: no row is empty
        self.register_buffer("mask", mask)
        self.register_buffer("slopes", -0.2 * apart.abs().float())

    def _added(self, scores: Tensor) -> Tensor:
        """What a mask or a bias makes of scores."""
        if self.drawn.mask == "learned bias":
            return scores + self.bias
        if self.drawn.mask == "bias":
            scores = scores + self.slopes
        return scores if self.drawn.mask == "none" else scores.masked_fill(~self.mask, -1e9)

    def forward(self, x: Tensor, padded: Tensor | None) -> Tensor:
        q, k, v = (layer(x).unflatten(-1, (-1, self.drawn.size)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        if self.drawn.by_hand or self.drawn.mask == "learned bias":
            scores = self._added((q * self.drawn.size**-0.5) @ k.transpose(-2, -1))
            scores = scores if padded is None else scores.masked_fill(padded[:, None, None], torch.finfo(x.dtype).min)
            mixed = scores.softmax(-1) @ v
        else:
            mask = None if self.drawn.mask == "none" else self.mask
            if self.drawn.mask == "bias":
                mask = self.slopes + _infinite(~self.mask, x)
            if padded is not None and mask is not None:
                mask = (mask if self.drawn.mask == "bias" else _infinite(~mask, x)) + _infinite(padded, x)[
                    :, None, None
                ]
            elif padded is not None:
                mask = ~padded[:, None, None]
            mixed = F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=self.drawn.shared)
        return mixed.transpose(1, 2).flatten(2)


def _infinite(forbidden: Tensor, like: Tensor) -> Tensor:
    return torch.zeros(forbidden.shape, dtype=like.dtype).masked_fill(forbidden, -math.inf)


class Transformer(nn.Module):
    """One block and a head for every token, on inputs ``[N, tokens, width]``, and a mask of samples if it is drawn."""

    def __init__(self, drawn: Drawn) -> None:
        super().__init__()
        self.drawn, width = drawn, drawn.heads * drawn.size
        norm = nn.LayerNorm if drawn.norm == "layer" else nn.RMSNorm
        self.enter, self.out, self.head = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 2)
        self.attention, self.norms = _Attention(drawn), nn.ModuleList(norm(width, eps=1e-2) for _ in range(2))
        self.grow, self.gate, self.shrink = nn.Linear(width, 8), nn.Linear(width, 8), nn.Linear(8, width)

    def forward(self, x: Tensor, padded: Tensor | None = None) -> Tensor:
        x = self.enter(x)
        one, other = self.norms
        if self.drawn.first:
            x = x + self.out(self.attention(one(x), padded))
            x = x + self._wide(other(x))
        else:
            x = one(x + self.out(self.attention(x, padded)))
            x = other(x + self._wide(x))
        result: Tensor = self.head(x)
        return result

    def _wide(self, x: Tensor) -> Tensor:
        grown = self.grow(x)
        if self.drawn.activation == "swiglu":
            return self.shrink(F.silu(self.gate(x)) * grown)
        return self.shrink(F.gelu(grown) if self.drawn.activation == "gelu" else F.relu(grown))


def check_transformer(seed: int) -> Drawn:
    """Raise ``AssertionError`` unless the transformer of ``seed`` keeps what is promised, in double precision.

    Clock and window simulator fire the same spikes and count the same operations, its graph is the model, and tokens
    that are padded, or that a causal mask hides, change no spike of the others.
    """
    drawn = Drawn.of(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Transformer(drawn).double().eval().requires_grad_(False)
        x, wild = (torch.randn(SAMPLES, drawn.tokens, drawn.heads * drawn.size, dtype=torch.float64) for _ in range(2))
        left = torch.randint(1, drawn.tokens + 1, (SAMPLES, 1))
    padded = torch.arange(drawn.tokens) >= left
    masks = (padded,) if drawn.padding else ()
    network = snnconv.convert(model, ((x, *masks), None), coding=drawn.codes)
    torch.testing.assert_close(network.reference(x, *masks), model(x, *masks))

    def runs(values: Tensor) -> Run:
        both = ("clock", "window")
        clock, window = (network.run((values, *masks), simulator=each, record=["rasters"]) for each in both)
        differing = {name: int((raster != window.rasters[name]).sum()) for name, raster in clock.rasters.items()}
        assert not any(differing.values()), f"clock and window differ in spikes: {differing}"
        assert clock.synops == window.synops and clock.spikes == window.spikes, "clock and window count differently"
        return clock

    first = runs(x)
    if drawn.padding:
        other = runs(torch.where(padded.unsqueeze(-1), 3 * wild, x))
        assert torch.equal(first.output[~padded], other.output[~padded]), "a padded token changes others"
    if drawn.mask in ("causal", "bias") and drawn.tokens > 2:
        later = x.clone()
        later[:, 2:] = 3 * wild[:, 2:]
        assert torch.equal(first.output[:, :2], runs(later).output[:, :2]), "a later token changes earlier ones"
    return drawn
