"""Populations of every kind, and currents whose potentials lie where the trains of their codes change."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from coding import TTFS, Code, FewSpike, FunctionTable, IntegerTable, OneSpike, Phase, Rate, TableSpike, Thermometer
from coding.window.closed_form import levels_of
from coding.window.window_code import WindowCode
from neurons import IntegrateFire, SignedWindow, TableLookup, WindowNeuron
from snnconv.graph.graph import Source
from snnconv.graph.operators import PiecewiseLinear
from snnconv.kernels.neuron_weights import NeuronWeights
from snnconv.spiking.population import Population

CODES: dict[str, Code] = {
    "few-spike": FewSpike(8, 1.5, 3),
    "few-spike, arithmetic": FewSpike(8, 1.4, 2, "arithmetic"),
    "few-spike, no limit": FewSpike(5, 2.0, 5),
    "few-spike, too many trains for a table": FewSpike(20, 1.1, 8),
    "one-spike": OneSpike(12, 1.3),
    "ttfs": TTFS(14, 4.0, 1.5, "geometric"),
    "phase": Phase(6),
    "table-spike": TableSpike(4, (1.0, 0.7, 0.3, 0.1)),
    "whole table": IntegerTable(3, (7, 3, 1), ((6, 3, 1),), 1, 7),
    "thermometer": Thermometer(7),
    "rate": Rate(9),
}
NEURONS: dict[str, Callable[[Code], WindowNeuron]] = {
    "integrate-fire": IntegrateFire,
    "leaky": lambda code: SignedWindow(code, 0.1),
    "graded identity": lambda code: SignedWindow(code, 1.0, "graded"),
}
#: Numbers for which an arithmetic may be another.
ODD = (0.0, -0.0, math.inf, -math.inf, math.nan, -math.nan, 5e-324, 1e-40, -1e-40, 1e38, -1e38)
#: Ways in which a current [N, C, H, W] lies in memory.
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": torch.Tensor.contiguous,
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "with gaps": lambda x: torch.stack([x, x], 4)[..., 0],
    "one sample": lambda x: x[:1].contiguous(memory_format=torch.channels_last),
    "one value a channel": lambda x: x.permute(0, 2, 3, 1).reshape(-1, x.shape[1], 1, 1),
    "overlapping": lambda x: x.contiguous(memory_format=torch.channels_last).unfold(3, 5, 1),
    "repeated": lambda x: x[:, :, :1].expand(-1, -1, 3, -1),
}


def boundaries(code: Code) -> Tensor:
    """Potentials at which the train of ``code`` changes, and zeros of both signs."""
    levels = levels_of(code.table(), torch.float32, torch.device("cpu")) if isinstance(code, WindowCode) else None
    if levels is not None:
        found = levels.following[:-1].view(torch.float32)[:64]
    elif isinstance(code, WindowCode):
        found = torch.tensor([*code.table().thresholds[0], *code.table().thresholds[-1]])
    else:
        found = (torch.arange(code.steps) + 0.5) / code.steps * (1.0 - 2.0**-20)
    return torch.cat([found, torch.tensor([0.0, -0.0])])


def population(code: Code, neuron: WindowNeuron, shifted: bool, axis: int | None, channels: int = 5) -> Population:
    generator = torch.Generator().manual_seed(1)
    size = 1 if axis is None else channels
    scale = torch.rand(size, generator=generator) * 3.0 + 0.1
    shift = (torch.rand(size, generator=generator) - 0.5) * 0.1 * shifted
    source = Source("", "", "")
    return Population("", "", PiecewiseLinear(), code, neuron, scale, shift, axis, (channels, 3, 7), source)


def placed(found: Population, dtype: torch.dtype, device: torch.device) -> Population:
    """``found`` in a precision, on a device."""
    scale, shift = (each.to(device, dtype) for each in (found.scale, found.shift))
    tables = None if found.tables is None else found.tables.to(device, dtype)
    return dataclasses.replace(found, scale=scale, shift=shift, tables=tables)


def with_tables(steps: int, spikes: Literal[1, 2], channels: int) -> Population:
    """Neurons with tables that fall and rise, one for each channel, some of which leave no silence."""
    code = FunctionTable(steps, spikes)
    generator = torch.Generator().manual_seed(steps)
    numbers = torch.rand(5, channels, code.cells, generator=generator, dtype=torch.float64) - 0.5
    thresholds = numbers[0].sort(1, descending=True).values
    thresholds[::2, -1] = -math.inf
    tables = torch.stack([thresholds, numbers[1], numbers[2], 10 * numbers[3].abs() + 1, numbers[4]])
    found = population(code, TableLookup(code), True, None if channels == 1 else 1, channels)
    return dataclasses.replace(found, tables=tables)


def currents(code: Code, of: Population) -> Tensor:
    """Float32 ``[N, 5, 3, 7]`` whose potentials lie within a few roundings of where trains change."""
    scale, shift = of.broadcast_scale(4), of.broadcast(of.shift, 4)
    change = boundaries(code)
    edges = torch.cat([change, -change]).view(-1, 1, 1, 1) * scale - shift
    away = torch.linspace(-5.0, 5.0, 105).view(1, 5, 3, 7)
    return edges * (1.0 + away.round() * torch.finfo(torch.float32).eps)


def same_bits(first: Tensor, second: Tensor) -> bool:
    integer = {torch.float32: torch.int32, torch.float64: torch.int64}[first.dtype]
    return torch.equal(first.contiguous().view(integer), second.contiguous().view(integer))


def drawn_weights(shape: Sequence[int]) -> tuple[NeuronWeights, ...]:
    """Weights that differ, up to the largest of 32 bits, and one for all."""
    generator = torch.Generator().manual_seed(2)
    drawn = [torch.randint(0, most, tuple(shape), generator=generator).double() for most in (2**31, 7)]
    return (*(NeuronWeights(each) for each in drawn), NeuronWeights(torch.full(tuple(shape), 3.0)))
