from __future__ import annotations

import pytest
import torch

from coding import TTFS, FewSpike, OneSpike, Phase, Rate, TableSpike
from coding.threshold import bounds, reaches, tie_tolerance
from coding.window.window_code import WindowCode

PRECISIONS = [(torch.float32, 2.0**-20), (torch.float64, 2.0**-44)]
ALL_PRECISIONS = [*PRECISIONS, (torch.bfloat16, 2.0**-6), (torch.float16, 2.0**-9)]


@pytest.mark.parametrize(("dtype", "slack"), PRECISIONS)
def test_the_slack_of_a_comparison_is_published(dtype: torch.dtype, slack: float) -> None:
    assert tie_tolerance(dtype) == slack


@pytest.mark.parametrize("dtype", [dtype for dtype, _ in ALL_PRECISIONS])
def test_the_slack_is_wider_than_a_rounding_error(dtype: torch.dtype) -> None:
    assert tie_tolerance(dtype) >= torch.finfo(dtype).eps


@pytest.mark.parametrize(("dtype", "slack"), ALL_PRECISIONS)
@pytest.mark.parametrize("threshold", [0.25, 1.0, 2.0])
def test_a_potential_fires_down_to_the_slack_below_the_threshold(
    threshold: float, dtype: torch.dtype, slack: float
) -> None:
    relative = torch.tensor([1.0 + slack, 1.0, 1.0 - slack, 1.0 - 2 * slack, 0.0, -1.0], dtype=torch.float64)
    potential = (relative * threshold).to(dtype)
    spikes = reaches(potential, threshold)
    assert spikes.tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert spikes.dtype == dtype


@pytest.mark.parametrize("dtype", [dtype for dtype, _ in PRECISIONS])
def test_every_element_may_have_its_own_threshold(dtype: torch.dtype) -> None:
    potential = torch.ones(3, dtype=dtype)
    thresholds = torch.tensor([0.5, 1.0, 1.5], dtype=dtype, requires_grad=True)
    assert reaches(potential, thresholds).tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("dtype", [dtype for dtype, _ in PRECISIONS])
@pytest.mark.parametrize("steps", [3, 5, 6, 7, 9, 10, 11, 13, 19, 23, 31])
def test_a_drive_of_one_level_fires_once_and_at_the_last_step(steps: int, dtype: torch.dtype) -> None:
    # The sum of `steps` shares of 1 / steps is 1 on paper only: rounding puts it on either side of the threshold.
    potential, fired = torch.zeros(1, dtype=dtype), []
    for t in range(steps):
        potential = potential + torch.full((1,), 1.0 / steps, dtype=dtype)
        payload, _, _ = Rate(steps).fire(potential, t, None)
        potential = potential - payload
        fired += [t] if bool(payload) else []
    assert fired == [steps - 1]


def test_spikes_carry_no_gradient() -> None:
    assert not reaches(torch.ones(2, requires_grad=True), 1.0).requires_grad


@pytest.mark.parametrize("dtype", [dtype for dtype, _ in PRECISIONS])
def test_the_slack_of_a_window_is_that_of_its_largest_value_at_every_step(dtype: torch.dtype) -> None:
    thresholds, largest = (0.5, 0.25, 0.125), 0.875
    slack = tie_tolerance(dtype) * largest
    assert bounds(thresholds, thresholds, largest, tie_tolerance(dtype)) == tuple(each - slack for each in thresholds)


def test_the_slack_of_a_window_is_at_most_a_quarter_of_the_way_to_the_next_lower_level() -> None:
    thresholds, payloads = (0.75, 0.5, 0.5, 0.125), (1.0, 0.5, 0.5, 0.25)
    assert bounds(thresholds, payloads, 2.0, 0.1) == (0.6875, 0.4375, 0.4375, 0.09375)
    assert bounds(thresholds, payloads, 2.0, 0.0) == thresholds


#: Codes with levels down to, or closer than, the tie tolerance of single precision.
FINE = [
    Phase(12),
    Phase(20),
    FewSpike(12, 4.0),
    FewSpike(12, 4.0, 4, "floor"),
    TTFS(80, 5.0),
    OneSpike(24, 2.0),
    TableSpike(4, (1.0, 1.0 - 1e-6, 2e-6, 1e-6)),
]


@pytest.mark.parametrize("dtype", [dtype for dtype, _ in PRECISIONS])
@pytest.mark.parametrize("code", FINE, ids=str)
def test_silence_never_fires_and_no_level_is_taken_for_another_however_fine_a_code_is(
    code: WindowCode, dtype: torch.dtype
) -> None:
    table = code.table()
    for row, reached in zip(table.thresholds, table.bounds(tie_tolerance(dtype)), strict=True):
        assert all(row[t] >= reached[t] > row[t + 1] for t in range(code.steps - 1))
        assert reached[-1] > 0.0
    assert not code.encode(torch.zeros(3, dtype=dtype)).any()
    payloads = torch.tensor(table.payloads, dtype=dtype)
    assert torch.equal(code.encode(payloads), payloads.diag()), "a level alone is one spike, at its step"
