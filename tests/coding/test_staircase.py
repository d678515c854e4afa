"""Staircases of window codes: the values that share a decoded value, all at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coding import TTFS, FewSpike, OneSpike, Phase
from coding.threshold import tie_tolerance
from coding.window.closed_form import trains
from coding.window.staircase import decoded, staircase_of
from coding.window.window_code import WindowCode, table_of

CODES = [FewSpike(8, 1.6, 3), FewSpike(6, 1.05, 3, rounding="floor"), Phase(6), OneSpike(24, 1.2), TTFS(20, tau=5.0)]


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_staircase_has_a_step_for_every_train(code: WindowCode) -> None:
    stairs = staircase_of(code)
    assert stairs is not None
    wanted = [*trains(table_of(code), tie_tolerance(torch.float64))][::-1]
    assert (stairs.values * code.full_scale).tolist() == pytest.approx([train.value for train in wanted])
    assert (stairs.lowest * code.full_scale)[1:].tolist() == pytest.approx([train.lowest for train in wanted][1:])


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_window_decodes_a_value_to_the_step_that_it_stands_on(code: WindowCode) -> None:
    stairs = staircase_of(code)
    assert stairs is not None
    values = np.linspace(0.0, 1.3, 997)
    found = stairs.values[np.searchsorted(stairs.lowest, values, side="right") - 1] * code.full_scale
    assert found.tolist() == pytest.approx(decoded(code, torch.from_numpy(values * code.full_scale)).tolist())


def test_a_code_of_very_many_values_has_no_staircase() -> None:
    assert staircase_of(Phase(14)) is None
