"""Modules of torch that are activations, and the gates made of them, convert as they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import activation

import snnconv
from coding import FewSpike
from tests.support.operators import Apply
from tests.support.pipelines import assert_simulators_agree

WIDTH = 8
#: Modules that are no function of one variable, or of one in each half.
OTHERS = {"MultiheadAttention", "Softmax", "Softmax2d", "LogSoftmax", "Softmin"}
GIVEN = {"Threshold": (0.1, 0.2)}


class SwiGLU(nn.Module):
    """SwiGLU, written out."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = F.silu(self.gate(x)) * self.up(x)
        return gated


MODULES: dict[str, Callable[[], nn.Module]] = {
    **{name: partial(getattr(nn, name), *GIVEN.get(name, ())) for name in activation.__all__ if name not in OTHERS},
    "GLU of another axis": lambda: nn.GLU(1),
    "GELU by tanh": lambda: nn.GELU("tanh"),
    "Softplus of two options": lambda: nn.Softplus(2.0, 5.0),
    "SwiGLU": SwiGLU,
}
#: Functions under another name than the vocabulary's, and those that torch makes of others.
NAMES: dict[str, Callable[[Tensor], Tensor]] = {
    "arcsin": lambda x: torch.arcsin(0.9 * x.tanh()),
    "special.expit": torch.special.expit,
    "special.ndtr": torch.special.ndtr,
    "special.psi": lambda x: torch.special.psi(x * x + 0.5),
    "deg2rad": lambda x: torch.deg2rad(x).sin(),
    "lerp": lambda x: torch.lerp(x, x.exp(), 0.5),
    "logaddexp": lambda x: torch.logaddexp(x, torch.zeros(())),
    "heaviside": lambda x: torch.heaviside(x, torch.tensor(0.5, dtype=x.dtype)),
    "copysign": lambda x: torch.copysign(x, torch.tensor(1.0)),
    "an interval": lambda x: torch.where((x > 0) & (x < 0.5), x.exp(), x),
}


def check(module: nn.Module, out: int, most: float) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, WIDTH), module, nn.Linear(out, 3)).double().eval()
    x = torch.rand(64, 6, dtype=torch.float64)
    network = snnconv.convert(model, x, coding=FewSpike(8, spikes=3))
    with torch.no_grad():
        expected = model(x)
    assert float((network(x) - expected).norm() / expected.norm()) < most
    assert_simulators_agree(network, x[:4])


@pytest.mark.parametrize("name", MODULES)
def test_an_activation_of_torch_converts(name: str) -> None:
    jumps = name == "Hardshrink"
    check(MODULES[name](), WIDTH // 2 if name.startswith("GLU") else WIDTH, 0.15 if jumps else 0.03)


@pytest.mark.parametrize("name", NAMES)
def test_a_function_converts_by_whatever_name(name: str) -> None:
    jumps = name in ("heaviside", "copysign", "an interval")
    check(Apply(NAMES[name]), WIDTH, 0.25 if jumps else 0.03)


def test_a_function_whose_slope_is_next_to_nothing_keeps_its_biases() -> None:
    model = nn.Sequential(nn.Linear(6, WIDTH), Apply(lambda x: torch.sin(x) ** 61), nn.Linear(WIDTH, 3)).eval()
    network = snnconv.convert(model, torch.rand(64, 6), coding=FewSpike(8, spikes=3))
    assert all(bool(population.shift.isfinite().all()) for population in network.populations.values())
