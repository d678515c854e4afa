"""Payloads that are learned: the parameters that shape those of a window code, and gradients by them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from coding.neural_code import Code
from coding.window.closed_form import levels_of
from coding.window.table_spike import TableSpike
from coding.window.ttfs import TTFS
from coding.window.window_code import BaseCode, WindowCode, fixed, table_of

#: Bounds of the logarithms of what a payload falls by in a step: codes take bases of up to 64.
_LEAST, _MOST = math.log(1.1e-6), math.log(math.log(64.0))
#: Half of the distance over which payloads are differenced.
_DISTANCE = 1e-6


def payload_parameters(code: Code) -> tuple[float, ...]:
    """What shapes the payloads of ``code``, as numbers that may take any value; none where nothing does.

    Payloads fall exponentially, so these are logarithms of what they fall by in a step: of log(base), of 1 / tau,
    followed by the delay, or, for levels of a table, of every gap between the logarithms of two neighbours.
    """
    if isinstance(code, BaseCode):
        return (math.log(math.log(fixed(code, "base"))),)
    if isinstance(code, TTFS):
        return (-math.log(fixed(code, "tau")), code.delay)
    if isinstance(code, TableSpike):
        payloads = table_of(code).payloads
        return tuple(math.log(math.log(upper / lower)) for upper, lower in pairwise(payloads))
    return ()


def has_parameter_gradient(code: Code, like: Tensor) -> bool:
    """Whether ``parameter_gradient`` has something to tell of ``code`` for values like ``like``."""
    return (
        isinstance(code, WindowCode)
        and bool(payload_parameters(code))
        and levels_of(table_of(code), like.dtype, like.device) is not None
    )


def with_payload_parameters(code: Code, parameters: Sequence[float]) -> Code:
    """The same code with payloads of these ``parameters``, one for each of ``payload_parameters(code)``.

    What a payload falls by in a step is kept to factors between about 1 + 1e-6 and 64.
    """
    falls = [math.exp(min(max(each, _LEAST), _MOST)) for each in parameters]
    if isinstance(code, BaseCode):
        return code.with_base(math.exp(falls[0]))
    if isinstance(code, TTFS):
        delay = min(max(parameters[1], 1.0 - code.steps), code.steps - 1.0)
        return replace(code, tau=1.0 / falls[0], delay=delay)
    assert isinstance(code, TableSpike)
    levels = [1.0]
    for fall in falls:
        levels.append(levels[-1] * math.exp(-fall))
    return code.with_levels(tuple(levels))


def parameter_gradient(code: Code, values: Tensor, gradient: Tensor) -> Tensor:
    """The gradient ``[n]`` by ``payload_parameters(code)``, given ``gradient`` by what ``values`` are decoded to.

    Both have any one shape. Every value keeps its spikes, and what they are worth changes; where a change of payloads
    moves a spike to another step, there is no derivative. Raises ``ConfigurationError`` while a parameter is to be
    fitted, and ``ValueError`` for a code without a table of its trains.
    """
    levels = levels_of(table_of(code), values.dtype, values.device) if isinstance(code, WindowCode) else None
    if levels is None:
        raise ValueError(f"{code} has no table of trains: it is no window code, or has too many")
    by_train = gradient.new_zeros(len(levels.values)).index_add_(0, levels.trains(values), gradient.reshape(-1))
    fired = (code.encode(levels.inside()) != 0).to(gradient.dtype)
    by_payload = (fired @ by_train).to("cpu", torch.float64)
    return by_payload @ _slopes(code)


def _slopes(code: Code) -> Tensor:
    """Derivatives ``[T, n]`` of payloads by parameters."""
    parameters, columns = payload_parameters(code), []
    for place in range(len(parameters)):
        ends = []
        for sign in (1.0, -1.0):
            moved = list(parameters)
            moved[place] += sign * _DISTANCE
            changed = with_payload_parameters(code, moved)
            assert isinstance(changed, WindowCode)
            ends.append(torch.tensor(changed.table().payloads, dtype=torch.float64))
        columns.append((ends[0] - ends[1]) / (2.0 * _DISTANCE))
    return torch.stack(columns, 1)
