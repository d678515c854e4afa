"""The search for the least value of a function of one number."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from scipy.optimize import minimize_scalar

from coding.minimum import least

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "parabola": lambda x: (x - 0.3) ** 2,
    "rising": lambda x: math.exp(x),
    "kink": lambda x: abs(x - 0.7),
    "waves": lambda x: math.sin(25.0 * x) + x * x,
    "steps": lambda x: math.floor(8.0 * abs(x - 0.4)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_least_value_is_that_of_brents_method(name: str) -> None:
    asked: list[float] = []

    def function(x: float) -> float:
        asked.append(x)
        return FUNCTIONS[name](x)

    place, value = least(function, -0.5, 1.25, 1e-4)
    wanted = minimize_scalar(FUNCTIONS[name], bounds=(-0.5, 1.25), method="bounded", options={"xatol": 1e-4})
    assert (place, value) == pytest.approx((wanted.x, wanted.fun), abs=1e-7)
    assert len(asked) == wanted.nfev and all(-0.5 <= x <= 1.25 for x in asked)
