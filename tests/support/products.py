"""Small networks that multiply two signals; each covers one way in which people write them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Forward = Callable[["Layers", Tensor], Tensor]


class Layers(nn.Module):
    """Linear layers ``a``, ``b``, ``c`` [4 -> 4], a head [4 -> 3], convolutions, and a forward pass over them."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.a, self.b, self.c, self.head = (nn.Linear(4, outputs) for outputs in (4, 4, 4, 3))
        self.stem, self.project = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.bilinear = nn.Bilinear(4, 4, 4)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


def squeeze_and_excite(m: Layers, x: Tensor) -> Tensor:
    features = torch.relu(m.stem(x))
    gate = F.hardsigmoid(m.b(torch.relu(m.a(features.mean((2, 3))))))
    return m.head(torch.relu(m.project(features * gate[:, :, None, None])).mean((2, 3)))


def attention(m: Layers, x: Tensor) -> Tensor:
    scores = torch.einsum("nld,nmd->nlm", m.a(x), m.b(x))
    return m.head(torch.relu(scores) @ m.c(x))


def heads(m: Layers, x: Tensor) -> Tensor:
    q, k, v = (layer(x).unflatten(-1, (2, 2)).transpose(1, 2) for layer in (m.a, m.b, m.c))
    return m.head((torch.relu(q @ k.transpose(-1, -2)) @ v).transpose(1, 2).flatten(2))


def with_itself(m: Layers, x: Tensor) -> Tensor:
    hidden = torch.relu(m.a(x))
    return m.head(torch.relu(hidden @ hidden - hidden * (0.5 * hidden.flip(1) + 0.3)))


def of_products(m: Layers, x: Tensor) -> Tensor:
    one, other = torch.relu(m.a(x)), torch.relu(m.b(x))
    return m.head(torch.relu(m.c(x)) * (one * other))


def pooled(m: Layers, x: Tensor) -> Tensor:
    features = torch.relu(m.stem(x))
    return m.head(F.max_pool2d(features * features.flip(2), 2).flatten(2).amax(2))


def joined(m: Layers, x: Tensor) -> Tensor:
    features = torch.relu(m.stem(x))
    product = features * features.amax((2, 3), keepdim=True)
    both = torch.cat([product + features, F.avg_pool2d(product, 3, 1, 1)], 1)
    return m.head(torch.relu(m.project(both[:, ::2])).mean((2, 3)))


def of_maxima(m: Layers, x: Tensor) -> Tensor:
    largest = F.max_pool2d(F.max_pool2d(torch.relu(m.stem(x)) + 0.1, 2, 1), 2)
    return m.head((largest * largest.flip(1)).mean((2, 3)))


def silent(m: Layers, x: Tensor) -> Tensor:
    return m.head(torch.relu(m.a(x)) * torch.relu(m.b(x) - 100.0))


def of_the_input(m: Layers, x: Tensor) -> Tensor:
    return m.head(x * torch.relu(m.a(x)) + x * x.flip(1))


def shifted(m: Layers, x: Tensor) -> Tensor:
    return m.head(F.hardtanh(m.a(x)) * m.b(x).clamp(min=0.1))


def bilinear(m: Layers, x: Tensor) -> Tensor:
    return m.head(torch.relu(m.bilinear(x, x.flip(1))))


#: Networks with the shape of their input in one sample.
NETWORKS: dict[str, tuple[Forward, tuple[int, ...]]] = {
    "squeeze and excite": (squeeze_and_excite, (2, 5, 5)),
    "attention": (attention, (3, 4)),
    "heads": (heads, (3, 4)),
    "with itself": (with_itself, (4, 4)),
    "of products": (of_products, (4,)),
    "pooled": (pooled, (2, 4, 4)),
    "joined": (joined, (2, 4, 4)),
    "of maxima": (of_maxima, (2, 4, 4)),
    "silent": (silent, (4,)),
    "of the input": (of_the_input, (4,)),
    "shifted": (shifted, (4,)),
    "bilinear": (bilinear, (4,)),
}


def product_network(name: str, samples: int = 24) -> tuple[Layers, Tensor]:
    """The network of this name in double precision, with inputs."""
    forward, shape = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Layers(forward).double().eval().requires_grad_(False)
        return model, torch.randn(samples, *shape, dtype=torch.float64)
