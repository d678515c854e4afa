"""How far values leave a range: shares of values, of none too, and what parts of a data set make together."""

from __future__ import annotations

import pytest
import torch

from snnconv.spiking.input_range import Filling, Leaving, range_of


def test_shares_are_of_the_values_there_are() -> None:
    seen = range_of(torch.tensor([0.0, 4.0]), by_channel=False)
    some, none = seen.leaving(torch.tensor([-2.0, 1.0, 3.0, 6.0])), seen.leaving(torch.tensor([5.0, 4.5, 9.0]))
    assert (some.share, some.farthest) == (0.5, 0.5)
    assert some.merge(none).share == 5 / 7
    assert seen.leaving(torch.tensor([2.0])).share == 0.0


def test_of_no_values_none_leave_a_range() -> None:
    nothing = Leaving((0,), 0, 0.0)  # as where a mask forbids all
    assert nothing.share == 0.0 and nothing.merge(Leaving((1,), 4, 0.1)).share == 0.25


def test_what_is_filled_of_a_range_is_that_of_all_samples_in_the_channel_where_it_is_most() -> None:
    seen = range_of(torch.tensor([[[0.0, 10.0], [-5.0, 5.0]]]), by_channel=True)
    one, other = torch.tensor([[[1.0, 2.0], [0.0, 0.0]]]), torch.tensor([[[2.0, 3.0], [4.0, 4.0]]])
    found = seen.filling(one, 1).merge(seen.filling(other, 1))
    assert found == seen.filling(torch.cat([one, other]), 2)
    assert found.samples == 2 and found.share == pytest.approx(0.4)
    whole = range_of(torch.tensor([0.0, 4.0]), by_channel=False)
    assert whole.filling(torch.tensor([-1.0, 1.0]), 1) == Filling((-0.25,), (0.25,), 1)
