"""What every activation function promises."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor

from coding import CODES, Code, ConfigurationError
from coding.fit import fit
from neurons import Negative, Neuron, WindowNeuron
from snnconv.graph.operators import ActivationFunction
from snnconv.surroundings import own_surroundings
from snnconv.testing.require import require, require_close, require_frozen, require_stored

#: Half the distance between the two currents whose values give a slope.
_STEP = 2.0**-12


@own_surroundings()
def check_activation_function(function: ActivationFunction) -> None:
    """Check that ``function`` keeps what every activation function promises, for currents from -9 to 9 and far ones.

    Args:
        function: The activation function, with all its parameters.

    Raises:
        AssertionError: A promise is broken; the text says which.
    """
    require_frozen(function)
    what = type(function).__name__
    same = copy.deepcopy(function)
    require(same == function and hash(same) == hash(function), f"{what}: a copy must equal its original")
    require_stored(function)
    for dtype in (torch.float32, torch.float64):
        _check_elementwise(function, _currents(dtype))
    currents = _currents(torch.float64)
    _check_bound(function, currents)
    _check_slope(function, currents)
    _check_units(function, currents)
    _check_size(function, currents)
    _check_neuron(function, currents)


def _currents(dtype: torch.dtype) -> Tensor:
    """Currents on both sides of 0, and 0, ``[samples, elements]``."""
    return (
        torch.cat([torch.arange(-720, 721, dtype=torch.float32) / 80, torch.tensor([-1e4, 1e4], dtype=torch.float32)])
        .to(dtype)
        .view(3, -1)
    )


def _check_elementwise(function: ActivationFunction, currents: Tensor) -> None:
    what, before = type(function).__name__, currents.clone()
    methods: dict[str, Callable[[Tensor], Tensor]] = {
        "values": function,
        "unbounded": function.unbounded,
        "slope": function.slope,
        "error_weight": function.error_weight,
    }
    for name, method in methods.items():
        found = method(currents)
        require(torch.equal(currents, before), f"{what}: {name} must not change the currents")
        alike = (found.shape, found.dtype) == (currents.shape, currents.dtype)
        require(alike, f"{what}: {name} must have the shape and precision of the currents")
        apart = torch.cat([method(row.unsqueeze(0)) for row in currents])
        rounding = 8 * torch.finfo(currents.dtype).eps  # what vectors and single numbers of one function differ by
        require_close(apart, found, f"{what}: {name} must not depend on the other currents", rounding)


def _check_bound(function: ActivationFunction, currents: Tensor) -> None:
    what, bound = type(function).__name__, function.bound
    values, free = function(currents), function.unbounded(currents)
    if bound is None:
        require(torch.equal(values, free), f"{what}: without a bound, values and unbounded must be the same")
    else:
        require(float(values.max()) == bound, f"{what}: bound must be the largest value")
        require_close(values, free.clamp(max=bound), f"{what}: values must be unbounded cut at the bound", 1e-15)


def _check_slope(function: ActivationFunction, currents: Tensor) -> None:
    """The slope is that of ``unbounded``, but at kinks, where those to the left and to the right differ."""
    what, slope = type(function).__name__, function.slope(currents)
    here, above, below = (function.unbounded(currents + step) for step in (0.0, _STEP, -_STEP))
    right, left = (above - here) / _STEP, (here - below) / _STEP
    smooth = (right - left).abs() < 0.01
    worst = float((slope - (right + left) / 2)[smooth].abs().max())
    require(worst < 1e-5, f"{what}: slope must be the derivative of unbounded, and is off by {worst:.3g}")
    low, high = torch.minimum(left, right) - 0.01, torch.maximum(left, right) + 0.01
    require(bool(((slope >= low) & (slope <= high)).all()), f"{what}: slope at a kink must lie between its two sides")
    require_close(
        function.error_weight(currents), slope.square(), f"{what}: error_weight must be the square of the slope", 1e-14
    )


def _check_units(function: ActivationFunction, currents: Tensor) -> None:
    """Currents in multiples of a unit, one for each element of a row too, are the same currents."""
    what, free = type(function).__name__, function.unbounded(currents)
    for unit in (4.0, torch.linspace(0.5, 2.0, currents.shape[1], dtype=currents.dtype)):
        found = function.unbounded(currents / unit, unit) * unit
        require_close(found, free, f"{what}: unbounded must take and give multiples of the unit", 1e-14)


def _check_size(function: ActivationFunction, currents: Tensor) -> None:
    what, values = type(function).__name__, function.unbounded(currents)
    for negative in get_args(Negative):
        size = function.coded_size(values, negative)
        require(bool((size >= values.abs()).all()), f"{what}: coded_size must be no smaller than the value")
        require(not bool(size[values == 0].any()), f"{what}: coded_size must be 0 for a value of 0")
        positive = values > 0
        require(torch.equal(size[positive], values[positive]), f"{what}: coded_size must be the value above 0")
        below = size[values < 0][values[values < 0].argsort(descending=True)]
        require(bool((below.diff() >= 0).all()), f"{what}: coded_size must grow with the size of a value below 0")
    size = function.coded_size(values, "imbalanced")
    require(torch.equal(size, values.abs()), f"{what}: imbalanced thresholds encode the size of the value")


def _check_neuron(function: ActivationFunction, currents: Tensor) -> None:
    """A function that has values below zero needs a neuron of its own, and gets it with the code asked for."""
    what, below = type(function).__name__, bool((function(currents) < 0).any())
    for windowed in (True, False):
        code = _code(windowed)
        for negative in get_args(Negative):
            try:
                neuron = function.neuron(code, windowed, negative)
            except ConfigurationError:
                require(not windowed, f"{what}: neuron may refuse streams, and no window")
                continue
            if neuron is None:
                require(not below, f"{what} has values below 0, so neuron must give a neuron that has them too")
                continue
            require(isinstance(neuron, Neuron), f"{what}: what neuron gives must be a Neuron")
            kept = getattr(neuron, "code", code) == code
            require(kept, f"{what}: neuron must give a neuron with the code that it was asked for")
            waits = isinstance(neuron, WindowNeuron) or not windowed
            require(waits, f"{what}: a neuron for a window must be a WindowNeuron")


def _code(windowed: bool) -> Code:
    """The first registered code that has windows, or that streams, with all its parameters."""
    codes = (CODES[name]() for name in CODES)  # type: ignore[call-arg] # every code has a default for its steps
    code = next(each for each in codes if (each.windows if windowed else each.streams))
    spread = torch.linspace(0.0, 1.0, 101, dtype=torch.float32)
    return code if code.free_parameter is None else fit(code, spread, torch.ones_like(spread))
