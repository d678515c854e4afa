"""Forward and backward of the double-exponential network as the equations stand: one step, one layer at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from neurons.double_exponential import DoubleExponential
from snnconv.learning.rule import GradientRule


@dataclass
class LiteralLayer:
    weight: Tensor
    bias: Tensor
    current: list[Tensor] = field(default_factory=list)
    potential: list[Tensor] = field(default_factory=list)
    events: list[Tensor] = field(default_factory=list)


@dataclass
class LiteralGradients:
    weight: Tensor
    bias: Tensor


def forward(layers: list[LiteralLayer], events: Tensor, neuron: DoubleExponential) -> None:
    a_i, a_v, b = neuron.current_decay, neuron.potential_decay, neuron.gain
    for t in range(len(events)):
        below = events[t]
        for layer in layers:
            current, potential = below @ layer.weight.T, b * layer.bias
            if t > 0:
                kept = 1 - layer.events[t - 1]
                current = current + a_i * kept * layer.current[t - 1]
                potential = potential + a_v * kept * layer.potential[t - 1]
            potential = potential + b * current
            below = (potential >= 1).to(potential.dtype)
            layer.current.append(current)
            layer.potential.append(potential)
            layer.events.append(below)


def backward(
    layers: list[LiteralLayer],
    events: Tensor,
    neuron: DoubleExponential,
    rule: GradientRule,
    output_events: Tensor,
    output_times: Tensor,
) -> list[LiteralGradients]:
    """From last step to first, from top layer to bottom; the recursions of D, GI, ef1 and ef2 step by step."""
    a_i, a_v, b = neuron.current_decay, neuron.potential_decay, neuron.gain
    steps = len(events)
    gradients = [LiteralGradients(torch.zeros_like(x.weight), torch.zeros_like(x.bias)) for x in layers]
    later: list[dict[str, Tensor]] = [{} for _ in layers]
    for t in range(steps - 1, -1, -1):
        of_events, of_times = output_events[t], output_times[t]
        for number in range(len(layers) - 1, -1, -1):
            layer, after = layers[number], later[number]
            S, V = layer.events[t], layer.potential[t]
            rise = V if t == 0 else V - (1 - layer.events[t - 1]) * layer.potential[t - 1]
            rise = torch.clamp(rise, min=rule.clamp)
            G = torch.zeros_like(V)
            if rule.rule in ("activation", "antlr"):
                surrogate = rule.surrogate_height * torch.exp(-rule.surrogate_slope * (V - 1).abs())
                G = G + rule.activation_weight * surrogate * of_events
            if rule.rule in ("timing", "antlr"):
                G = G + rule.timing_weight * torch.where(S == 1, -of_times / rise, torch.zeros_like(V))
            D, ef1 = G, -a_v * G / 2
            if after:
                D = D + a_v * (1 - S) * after["D"]
                ef1 = ef1 + (after["G"] / 2) * (1 - S) + a_v * (1 - S) * after["ef1"]
            GI, ef2 = b * D, -b * a_i * G / 2 + b * ef1
            if after:
                GI = GI + a_i * (1 - S) * after["GI"]
                ef2 = ef2 + a_i * (1 - S) * after["ef2"]
            below = events[t] if number == 0 else layers[number - 1].events[t]
            gradients[number].weight += torch.einsum("no,ni->oi", GI, below)
            gradients[number].bias += b * D.sum(0)
            later[number] = {"G": G, "D": D, "GI": GI, "ef1": ef1, "ef2": ef2}
            of_events, of_times = GI @ layer.weight, below * (ef2 @ layer.weight)
    return gradients
