"""Draws: what is drawn for a sample goes by a seed and its position alone."""

from __future__ import annotations

import pytest
import torch

from coding import Draws

SHAPES = [(5,), (3, 16), (2, 3, 33)]


@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_sample_draws_the_same_whichever_come_with_it(kind: str, shape: tuple[int, ...]) -> None:
    whole, part = Draws(3, range(9)), Draws(3, range(4, 7))
    for _ in range(3):  # further numbers too
        one, other = (getattr(draws, kind)(torch.empty(count, *shape)) for draws, count in ((whole, 9), (part, 3)))
        assert torch.equal(one[4:7], other)
    assert len(one.flatten(1).unique(dim=0)) == 9  # no sample draws what another does


def test_the_layout_of_what_is_drawn_for_does_not_matter() -> None:
    like = torch.empty(4, 3, 5, 5)
    dense, last = (Draws(0, range(4)).normal(each) for each in (like, like.to(memory_format=torch.channels_last)))
    assert torch.equal(dense, last)


def test_those_that_are_kept_go_on_where_they_are() -> None:
    whole, kept = Draws(1, range(6)), torch.tensor([True, False, True, True, False, False])
    whole.uniform(torch.empty(6, 4))
    rest = whole.of(kept).uniform(torch.empty(3, 4))
    again = Draws(1, range(6))
    again.uniform(torch.empty(6, 4))
    assert torch.equal(rest, again.uniform(torch.empty(6, 4))[kept])


def test_numbers_are_distributed_as_they_say() -> None:
    normal, uniform = (getattr(Draws(0, range(400)), kind)(torch.empty(400, 500)) for kind in ("normal", "uniform"))
    assert abs(float(normal.mean())) < 0.01 and float(normal.std()) == pytest.approx(1.0, abs=0.01)
    assert (
        float(uniform.mean()) == pytest.approx(0.5, abs=0.005)
        and 0.0 <= float(uniform.min()) < float(uniform.max()) < 1.0
    )
    over_samples = normal.mean(0).std() * 400**0.5  # neighbouring positions are independent
    assert float(over_samples) == pytest.approx(1.0, abs=0.1)
