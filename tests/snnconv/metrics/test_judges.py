"""Judges: what an error of values, labels and class scores costs."""

from __future__ import annotations

import pytest
import torch

import snnconv
from snnconv.errors import InputError


def test_an_error_of_values_costs_its_share_of_them_in_percent() -> None:
    exact = [torch.tensor([[3.0], [4.0]]), torch.tensor([[12.0]])]
    found = [torch.tensor([[3.0], [4.5]]), torch.tensor([[13.2]])]
    judge = snnconv.ValueJudge()
    assert judge.expected_loss(exact, found) == pytest.approx(100.0 * 1.3 / 13.0)
    assert judge.decisions(exact) == 0


def test_several_outputs_of_values_count_alike_whatever_their_size() -> None:
    exact, found = [(torch.ones(4), torch.full((2,), 100.0))], [(torch.full((4,), 1.1), torch.full((2,), 110.0))]
    judge = snnconv.ValueJudge()
    assert judge.expected_loss(exact, found) == pytest.approx(10.0)
    assert judge.deviation(exact[0], found[0]).double().square().mean().sqrt().item() == pytest.approx(0.1)


def test_values_are_judged_in_real_numbers() -> None:
    with pytest.raises(InputError, match="no real values"):
        snnconv.ValueJudge().decisions([torch.zeros(3, dtype=torch.long)])


def test_labels_are_expected_to_change_as_far_as_errors_reach_over_the_threshold() -> None:
    exact, found = [torch.tensor([[0.7], [0.3]])], [torch.tensor([[0.9], [0.1]])]
    judge = snnconv.LabelJudge(0.5)  # both lie 0.2 from the threshold, and errors of 0.2 count as 0.32
    assert judge.expected_loss(exact, found) == 50.0  # either error takes the other label over it, not its own
    assert judge.decisions(exact) == 2
    assert judge.decide(exact[0]).tolist() == [[1], [0]]
