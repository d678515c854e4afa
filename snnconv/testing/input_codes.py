"""What every input code promises."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from coding import Draws, InputCode
from snnconv.surroundings import own_surroundings
from snnconv.testing.require import require, require_close, require_frozen

#: Samples that show the same values, and the time steps that their average takes in at least.
_SAMPLES, _STEPS = 64, 64


@own_surroundings()
def check_input_code(code: InputCode) -> None:
    """Check that ``code`` keeps what every input code promises, for values from 0 to 1 or for spikes over time.

    Args:
        code: The input code, with all its parameters.

    Raises:
        AssertionError: A promise is broken; the text says which.
    """
    require_frozen(code)
    what, same = type(code).__name__, copy.deepcopy(code)
    require(same == code and hash(same) == hash(code), f"{what}: a copy must equal its original")
    require(1 <= code.period <= code.least_steps, f"{what}: period must lie between 1 and least_steps")
    if code.code is not None:
        require(code.spiking, f"{what}: what follows a code is spiking")
        whole = code.period >= code.code.presentation and code.period % code.code.period == 0
        require(whole, f"{what}: period must leave its code the time to present a value")
    for dtype in (torch.float32, torch.float64):
        _check_steps(code, _input(code, dtype))
    values = _input(code, torch.float64)
    payloads = _presented(code, values, _presentations(code) * code.period)
    if code.spiking:
        _check_spikes(code, values, payloads)
    if code.code is not None:
        train = code.code.encode(values)[: code.code.period]
        follows = torch.equal(payloads[: len(train)], train)
        require(follows, f"{what}: the first payloads must be those of its code")
    if code.carries_values:
        _check_value(code, values, payloads)
    elif code.of_values:
        fired = _presented(code, values, code.least_steps)[:, :, -1]  # values of 1
        require(bool(fired.any()), f"{what}: in least_steps steps the largest value must be presented")
    else:
        come = _presented(code, values, values.shape[1]).sum(0)
        require(torch.equal(come, values.sum(1)), f"{what}: every spike of the input must be presented once")


def _input(code: InputCode, dtype: torch.dtype) -> Tensor:
    """Values ``[N, 41]`` from 0 to 1, or spikes ``[N, T, 41]`` of which the first element has none."""
    values = torch.linspace(0.0, 1.0, 41, dtype=dtype).repeat(_SAMPLES, 1)
    if code.of_values:
        return values
    generator = torch.Generator().manual_seed(3)
    draws = torch.rand((_SAMPLES, 9, values.shape[1]), generator=generator, dtype=dtype)
    return (draws < values.unsqueeze(1)).to(dtype)


def _presentations(code: InputCode) -> int:
    return -(-_STEPS // code.period)


def _presented(code: InputCode, values: Tensor, steps: int, seed: int = 0, first: int = 0) -> Tensor:
    """Payloads ``[T, N, ...]`` of samples at positions from ``first`` on."""
    draws, state, payloads = Draws(seed, range(first, first + len(values))), code.initial(values), []
    for t in range(steps):
        payload, state = code.step(values, state, t, draws)
        payloads.append(payload.clone())
    return torch.stack(payloads)


def _check_steps(code: InputCode, values: Tensor) -> None:
    what, before, drawn = type(code).__name__, values.clone(), torch.get_rng_state()
    steps = code.least_steps + code.period
    payloads = _presented(code, values, steps)
    require(torch.equal(values, before), f"{what}: step must not change the values")
    require(torch.equal(torch.get_rng_state(), drawn), f"{what}: what is drawn must come from draws")
    alike = (payloads.shape[1:], payloads.dtype) == (code.step_shape(tuple(values.shape)), values.dtype)
    require(alike, f"{what}: a payload must have the shape that step_shape says, in the precision of the values")
    again = _presented(code, values, steps)
    require(torch.equal(again, payloads), f"{what}: equal seeds must give equal payloads, and each run start afresh")
    for state in (code.initial(values), code.step(values, code.initial(values), 0, Draws(0, range(len(values))))[1]):
        tensors = [leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor)]
        batch = all(tensor.shape[0] == len(values) for tensor in tensors)
        require(batch, f"{what}: the first axis of every tensor of the state must be the batch")
    alone = torch.equal(_presented(code, values[2:3], steps, first=2), payloads[:, 2:3])
    require(alone, f"{what}: samples must not influence each other")


def _is_random(code: InputCode, values: Tensor) -> bool:
    steps = code.least_steps + code.period
    return not torch.equal(_presented(code, values, steps), _presented(code, values, steps, seed=1))


def _check_spikes(code: InputCode, values: Tensor, payloads: Tensor) -> None:
    what = type(code).__name__
    require(bool((payloads >= 0).all()), f"{what}: payloads of spikes must not be negative")
    require(not bool(payloads[..., 0].any()), f"{what}: a value of 0 must be silent")
    require(bool(payloads.any()), f"{what} must fire for values up to 1")
    if code.code is None or code.code.unit_payload:
        unit = bool(((payloads == 0) | (payloads == 1)).all())
        require(unit, f"{what}: spikes without a payload of their own must be 0 or 1")


def _check_value(code: InputCode, values: Tensor, payloads: Tensor) -> None:
    """The mean of what is presented is the value, as far as levels, the membrane and chance allow."""
    what, hidden = type(code).__name__, code.code
    found = payloads.sum(0) / _presentations(code)
    tolerance = 1e-10
    if hidden is not None and hidden.streams:  # what is left over in the membrane
        tolerance = 2.0 * float(payloads.max()) / _presentations(code)
    elif hidden is not None:
        levels = hidden.quantize(torch.linspace(0.0, hidden.maximum, 4097, dtype=values.dtype)).values
        tolerance = float(levels.sort().values.diff().max()) + abs(1.0 - hidden.maximum)
    if _is_random(code, values):
        tolerance += 6.0 * 0.5 / (_STEPS * _SAMPLES) ** 0.5  # six standard deviations of a mean of spikes
    require_close(found.mean(0), values[0], f"{what}: the payloads of period steps must sum to the value", tolerance)
