"""Small causal language models as people write them: GPT with learned positions, Llama with rotary ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnconv import SpikingNetwork
from tests.support.conversion import converted

WORDS, WIDTH, HEADS, POSITIONS = 11, 8, 2, 12


class GPTBlock(nn.Module):
    """Attention and an MLP behind norms; tokens of all samples are rows of its first linear layer, as in GPT-2."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        qkv = self.qkv(self.norm1(x).view(-1, WIDTH)).view(n, length, 3 * WIDTH)
        q, k, v = (part.view(n, length, HEADS, -1).transpose(1, 2) for part in qkv.split(WIDTH, -1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, length, WIDTH))
        found: Tensor = x + self.mlp(self.norm2(x))
        return found


class GPT(nn.Module):
    """Scores of the next word at every position; it knows ``POSITIONS`` of them."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.positions = nn.Parameter(0.5 * torch.randn(POSITIONS, WIDTH))
        self.block = GPTBlock()
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS)

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.head(self.norm(self.block(self.words(ids) + self.positions[: ids.shape[1]])))
        return scores


class LlamaBlock(nn.Module):
    """Two heads of queries share one of keys and values, turned by their positions; an MLP with a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.scale1, self.scale2 = (nn.Parameter(0.5 + torch.rand(WIDTH)) for _ in range(2))
        self.q, self.k, self.v = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4), nn.Linear(WIDTH, 4)
        self.out, self.gate, self.up = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 16), nn.Linear(WIDTH, 16)
        self.down = nn.Linear(16, WIDTH)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        n, length, _ = x.shape
        y = _rms_norm(x) * self.scale1
        q, k, v = (layer(y).view(n, length, -1, 4).transpose(1, 2) for layer in (self.q, self.k, self.v))
        q, k = (part * turns[0] + torch.cat([-part[..., 2:], part[..., :2]], -1) * turns[1] for part in (q, k))
        k, v = (part[:, :, None].expand(n, 1, HEADS, length, 4).reshape(n, HEADS, length, 4) for part in (k, v))
        weights = (q @ k.transpose(2, 3) / 2 + mask).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(n, length, WIDTH))
        y = _rms_norm(x) * self.scale2
        found: Tensor = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return found


class Llama(nn.Module):
    """Scores of the next word at every position, by name; it takes any number of positions."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.block = LlamaBlock()
        self.head = nn.Linear(WIDTH, WORDS)

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        length, x = ids.shape[1], self.words(ids)
        angles = torch.arange(length, dtype=x.dtype)[:, None] * torch.tensor([1.0, 0.1], dtype=x.dtype)
        angles = torch.cat([angles, angles], -1)
        mask = torch.full((length, length), torch.finfo(x.dtype).min, dtype=x.dtype).triu(1)
        return {"scores": self.head(_rms_norm(self.block(x, (angles.cos(), angles.sin()), mask)))}


MODELS: dict[str, type[nn.Module]] = {"GPT": GPT, "Llama": Llama}


def language_model(name: str) -> nn.Module:
    """The model of this name in double precision with weights of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        return MODELS[name]().double().eval().requires_grad_(False)


def text(samples: int, length: int) -> Tensor:
    """Random words ``[samples, length]``."""
    return torch.randint(0, WORDS, (samples, length), generator=torch.Generator().manual_seed(samples + length))


def spiking_language_model(name: str, length: int) -> SpikingNetwork:
    """What ``snnconv.convert`` makes of the model of this name for texts of this ``length``."""
    return converted(("language model", name, length), lambda: (language_model(name), text(24, length)))


def _rms_norm(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
