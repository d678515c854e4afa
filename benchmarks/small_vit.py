"""A small vision transformer as people write them today, for pictures of 32 x 32 pixels."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

#: Name of its weights, trained on CIFAR-10, in the folder of data.
WEIGHTS_FILE = "small_vit_cifar10.safetensors"
WIDTH, DEPTH, HEADS, HIDDEN, TOKENS = 96, 4, 3, 288, 64
_STEM = 48


class TransformerBlock(nn.Module):
    """Attention and a perceptron, each behind a norm and beside a residual connection (Dosovitskiy et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``[N, T, width]``."""
        y = self.norm1(x)
        attended, _ = self.attention(y, y, y, need_weights=False)
        x = x + attended
        mixed: Tensor = x + self.mlp(self.norm2(x))
        return mixed


class SmallViT(nn.Module):
    """Class scores ``[N, 10]`` of pictures ``[N, 3, 32, 32]``: a convolutional stem, and four blocks on 64 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, _STEM, 3, 2, 1, bias=False),
            nn.BatchNorm2d(_STEM),
            nn.ReLU(),
            nn.Conv2d(_STEM, WIDTH, 3, 2, 1),
        )
        self.position = nn.Parameter(torch.zeros(1, TOKENS, WIDTH))
        self.blocks = nn.Sequential(*(TransformerBlock() for _ in range(DEPTH)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        tokens = self.stem(x).flatten(2).transpose(1, 2) + self.position
        scores: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return scores


def small_vit(weights: Path) -> SmallViT:
    """The network with trained weights, ready for inference."""
    from safetensors.torch import load_file

    names = {
        "attention.qkv.weight": "attention.in_proj_weight",
        "attention.qkv.bias": "attention.in_proj_bias",
        "attention.out.": "attention.out_proj.",
    }
    state = {}
    for name, tensor in load_file(weights).items():
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        state[name] = tensor
    network = SmallViT()
    network.load_state_dict(state)
    return network.eval()
