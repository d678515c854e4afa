"""Payloads as training sees them: parameters that may take any value."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from coding import TTFS, Code, FewSpike, OneSpike, Phase, Rate, TableSpike
from coding.learned_parameters import parameter_gradient, payload_parameters, with_payload_parameters
from coding.window.window_code import WindowCode

CODES: list[WindowCode] = [
    OneSpike(6, base=1.3),
    FewSpike(6, base=1.7, spikes=2),
    Phase(5),
    TTFS(9, tau=3.0, delay=1.5, rounding="geometric"),
    TableSpike(4, levels=(1.0, 0.6, 0.3, 0.25)),
]


@pytest.mark.parametrize("code", CODES)
def test_parameters_make_the_code_they_come_from(code: WindowCode) -> None:
    made = with_payload_parameters(code, payload_parameters(code))
    assert type(made) is type(code) and made.steps == code.steps and made.limit == code.limit
    assert made.table().payloads == pytest.approx(code.table().payloads, rel=1e-12)
    for row, other in zip(made.table().thresholds, code.table().thresholds, strict=True):
        assert row == pytest.approx(other, rel=1e-12)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("value", [-1e9, -40.0, -3.0, 0.5, 40.0, 1e9])
def test_any_number_makes_a_code(code: WindowCode, value: float) -> None:
    made = with_payload_parameters(code, [value] * len(payload_parameters(code)))
    payloads = made.table().payloads
    assert all(math.isfinite(payload) and payload > 0.0 for payload in payloads)
    assert all(upper > lower for upper, lower in pairwise(payloads))


def test_codes_without_such_parameters_have_none() -> None:
    codes: list[Code] = [Rate(4), TableSpike(1, levels=(1.0,))]
    assert all(payload_parameters(code) == () for code in codes)


def test_more_trains_than_a_table_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="no table of trains"):
        parameter_gradient(FewSpike(24, base=2.0, spikes=24), torch.ones(3), torch.ones(3))
