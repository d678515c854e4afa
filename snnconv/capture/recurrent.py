"""Recurrent layers of torch, step by step: what an exported program holds as one operator over a whole sequence.

Torch has decompositions of its own, which move the batch off the first axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

#: The next states, the one that is said first, of a step's input, states and weights.
_Cell = Callable[[Tensor, Sequence[Tensor], Sequence[Tensor]], tuple[Tensor, ...]]


def _arriving(step: Tensor, said: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """What arrives from a step's input, and from what was said before; ``weights`` of both come first, then biases."""
    of_input, of_state, *biases = weights
    of_input_bias, of_state_bias = biases or (None, None)
    return linear(step, of_input, of_input_bias), linear(said, of_state, of_state_bias)


def _lstm_cell(step: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    said, carried = states
    projections = weights[len(weights) // 2 * 2 :]  # with proj_size weights are one more
    of_step, of_said = _arriving(step, said, weights[: len(weights) - len(projections)])
    let_in, kept, new, let_out = (of_step + of_said).chunk(4, -1)
    carried = kept.sigmoid() * carried + let_in.sigmoid() * new.tanh()
    said = let_out.sigmoid() * carried.tanh()
    return linear(said, projections[0]) if projections else said, carried


def _gru_cell(step: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    (said,) = states
    of_step, of_said = (each.chunk(3, -1) for each in _arriving(step, said, weights))
    new = (of_step[2] + (of_said[0] + of_step[0]).sigmoid() * of_said[2]).tanh()
    return ((said - new) * (of_said[1] + of_step[1]).sigmoid() + new,)


def _rnn_cell(function: Callable[[Tensor], Tensor]) -> _Cell:
    def cell(step: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
        of_step, of_said = _arriving(step, states[0], weights)
        return (function(of_step + of_said),)

    return cell


def _unrolled(
    cell: _Cell,
    values: Tensor,
    first: Sequence[Tensor],
    parameters: Sequence[Tensor],
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, ...]:
    """What a layer says at every step, and its last states; ``first`` are those to begin with, all places of a kind."""
    axis = 1 if batch_first else 0
    steps, directions = list(values.unbind(axis)), 1 + bidirectional
    each = len(parameters) // (num_layers * directions)
    last: list[tuple[Tensor, ...]] = []
    for layer in range(num_layers):
        found = []
        for direction in range(directions):
            place = layer * directions + direction
            weights = parameters[place * each : (place + 1) * each]
            states, run = tuple(state[place] for state in first), []
            for step in reversed(steps) if direction else steps:
                states = cell(step, states, weights)
                run.append(states[0])
            last.append(states)
            found.append(run[::-1] if direction else run)
        steps = [torch.cat(both, -1) if bidirectional else both[0] for both in zip(*found, strict=True)]
    return torch.stack(steps, axis), *(torch.stack(kind) for kind in zip(*last, strict=True))


def _layer(cell: _Cell) -> Callable[..., tuple[Tensor, ...]]:
    """The operator of ATen whose layers are made of ``cell``, at inference."""

    def layer(
        values: Tensor,
        first: Tensor | Sequence[Tensor],
        parameters: Sequence[Tensor],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[Tensor, ...]:
        states = (first,) if isinstance(first, Tensor) else first
        return _unrolled(cell, values, states, parameters, num_layers, bidirectional, batch_first)

    return layer


def _single(cell: _Cell) -> Callable[..., Tensor | tuple[Tensor, ...]]:
    """The operator of ATen that is one step of ``cell``."""

    def single(
        step: Tensor,
        before: Tensor | Sequence[Tensor],
        of_input: Tensor,
        of_state: Tensor,
        of_input_bias: Tensor | None = None,
        of_state_bias: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        biases = [bias for bias in (of_input_bias, of_state_bias) if bias is not None]
        states = cell(step, (before,) if isinstance(before, Tensor) else before, [of_input, of_state, *biases])
        return states[0] if isinstance(before, Tensor) else states

    return single


_RNN_TANH, _RNN_RELU = _rnn_cell(torch.tanh), _rnn_cell(torch.relu)
_aten = torch.ops.aten

#: Recurrent operators by what they are made of: layers, and the cells of those who unroll them themselves.
RECURRENT: dict[torch._ops.OperatorBase, Callable[..., Any]] = {
    _aten.lstm.input: _layer(_lstm_cell),
    _aten.gru.input: _layer(_gru_cell),
    _aten.rnn_tanh.input: _layer(_RNN_TANH),
    _aten.rnn_relu.input: _layer(_RNN_RELU),
    _aten.lstm_cell.default: _single(_lstm_cell),
    _aten.gru_cell.default: _single(_gru_cell),
    _aten.rnn_tanh_cell.default: _single(_RNN_TANH),
    _aten.rnn_relu_cell.default: _single(_RNN_RELU),
}
