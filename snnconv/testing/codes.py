"""What every neural code promises."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from coding import Code
from coding.fit import fit
from snnconv.surroundings import own_surroundings
from snnconv.testing.require import require, require_close, require_frozen, require_stored


@own_surroundings()
def check_code(code: Code) -> None:
    """Check that ``code`` keeps what every neural code promises, for values on, between and beyond its levels.

    A code whose parameters are still to be found is fitted to evenly spread values first.

    Args:
        code: The code, with all its hyper-parameters.

    Raises:
        AssertionError: A promise is broken; the text says which.
    """
    require_frozen(code)
    if code.free_parameter is not None:
        spread = torch.linspace(0.0, 1.0, 1001, dtype=torch.float64)
        code = fit(code, spread, torch.ones_like(spread))
    what = type(code).__name__
    require(code.free_parameter is None, f"{what}: free_parameter must be None once the code was fitted")
    simulation = copy.deepcopy(code)
    require(simulation == code and hash(simulation) == hash(code), f"{what}: a copy must equal its original")
    require_stored(code)
    require(code.windows or code.streams, f"{what} must have windows, stream, or both")
    require(1 <= code.period <= code.presentation, f"{what}: period must lie between 1 and presentation")
    for dtype in (torch.float32, torch.float64):
        _check_firing(code, _values(code, dtype))
    values = _values(code, torch.float64)
    _check_trains(code, values)
    if code.windows:
        _check_windows(code, values)


def _values(code: Code, dtype: torch.dtype) -> Tensor:
    """Rising values from below zero to beyond the largest one that a train can carry."""
    generator = torch.Generator().manual_seed(1)
    values = torch.rand(600, generator=generator, dtype=torch.float64) * 1.3 - 0.1
    return torch.cat([values, torch.tensor([0.0, 0.5, 1.0])]).mul_(code.maximum).sort().values.to(dtype)


def _check_firing(code: Code, values: Tensor) -> None:
    """One firing rule, which changes nothing that it is given."""
    what, before = type(code).__name__, values.clone()
    payload = code.fire(values, 0, None).emitted
    require(torch.equal(values, before), f"{what}: fire must not change the potential")
    alike = (payload.shape, payload.dtype) == (values.shape, values.dtype)
    require(alike, f"{what}: a payload must have the shape and precision of the potential")
    into = code.fire(values, 0, None, torch.full_like(values, 7.0)).emitted
    require(torch.equal(payload, into), f"{what}: fire must return the same with and without storage for the payload")
    train = code.encode(values)
    require(torch.equal(values, before), f"{what}: encode must not change the values")
    alike = (train.shape, train.dtype) == ((code.steps, *values.shape), values.dtype)
    require(alike, f"{what}: a train must be [steps, ...] in the precision of the values")
    by_itself = torch.cat([code.encode(value) for value in torch.split(values, 201)], 1)
    require(torch.equal(train, by_itself), f"{what}: a value's train must not depend on the other values")


def _check_trains(code: Code, values: Tensor) -> None:
    """What trains hold and what they are worth."""
    what, train = type(code).__name__, code.encode(values)
    require(bool((train >= 0.0).all()), f"{what}: payloads must not be negative")
    require(not bool(train[:, values <= 0.0].any()), f"{what}: values at and below zero must be silent")
    require(bool(train[:, values >= code.maximum].any(0).all()), f"{what}: the largest value must fire")
    if code.unit_payload:
        require(bool(((train == 0.0) | (train == 1.0)).all()), f"{what}: unit_payload promises payloads of 0 and 1")
    if code.limit is not None:
        require(int((train != 0).sum(0).max()) <= code.limit, f"{what}: a train must not exceed limit spikes")
    inside = (values >= 0.0) & (values <= code.maximum)
    presentations = max(code.steps // code.presentation, 1)
    if code.streams and presentations > 1:
        error = (code.decode(train) - values)[inside].abs().max()
        bound = 2.0 * float(train.max()) * code.period / code.steps
        require(float(error) <= bound, f"{what}: a stream must decode to its value within {bound:.3g}")
    if code.windows and code.bounded:
        largest = torch.full_like(values[:1], code.maximum)
        for excess in (1.0, 1.5, 1e6):
            found = code.decode(code.encode(largest * excess))
            require_close(found, largest, f"{what}: values from the maximum on must decode to it")


def _check_windows(code: Code, values: Tensor) -> None:
    """The closed form is what the firing rule does step by step, on ties too."""
    what = type(code).__name__
    tied = torch.cat([values, code.quantize(values).values]).sort().values
    found, stepped = code.quantize(tied), Code.quantize(code, tied)
    require_close(found.values, stepped.values, f"{what}: quantize must give what fire does step by step", 1e-13)
    for name in ("spikes", "updates"):
        one, two = getattr(found, name), getattr(stepped, name)
        require(torch.equal(one, two), f"{what}: quantize must count the {name} that fire makes step by step")
    uncounted = code.quantize(tied, counted=False).values
    require(torch.equal(uncounted, found.values), f"{what}: counting must not change the values")
    require_close(
        code.decode(code.encode(tied)), found.values, f"{what}: encoding and decoding must be quantising", 1e-13
    )
    levels = torch.cat([found.values, found.values.new_tensor([0.0, code.maximum])]).sort().values
    inside = (tied >= 0.0) & (tied <= code.maximum)
    worst, gap = float((found.values - tied)[inside].abs().max()), float(levels.diff().max())
    require(
        worst <= gap * (1 + 1e-9), f"{what}: off by {worst:.3g}, more than the widest gap between levels, {gap:.3g}"
    )
    if bool((found.values.diff() >= -1e-12).all()):
        again = code.quantize(found.values).values
        require_close(again, found.values, f"{what}: where decoding is monotone a decoded value must be kept", 1e-13)
    _check_order(code, tied)


def _check_order(code: Code, rising: Tensor) -> None:
    """Max pooling in a pipeline passes the train of the largest value: the last one in the lexicon."""
    potential = rising * (code.steps // code.period) + code.initial_potential
    memory, payloads = None, []
    for t in range(code.steps):
        emitted, removed, memory = code.fire(potential, t, memory)
        potential = potential - removed
        payloads.append(emitted.clone())
    steps = torch.stack(payloads).diff(dim=1)
    first = (steps != 0).to(torch.int8).argmax(0, keepdim=True)  # where neighbours differ first
    kept = bool((steps.gather(0, first) >= 0).all())
    require(kept, f"{type(code).__name__}: a larger value must have a train that is not earlier in the lexicon")
