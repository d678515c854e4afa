"""What is kept for the next call is bounded in bytes."""

from __future__ import annotations

import torch

from coding import FewSpike
from coding.kept import Kept
from coding.window.closed_form import levels_of


def test_results_are_kept_until_others_need_their_room() -> None:
    calls: list[int] = []

    def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    kept = Kept(double, most=9, limit=8, size=lambda result: result)
    assert [kept(number) for number in (1, 2, 1)] == [2, 4, 2] and calls == [1, 2] and kept.bytes == 6
    assert kept(3) == 6  # 2 + 4 + 6 bytes: the one that was asked for the longest time ago goes
    assert kept(1) == 2 and calls == [1, 2, 3] and kept.bytes == 8
    assert kept(5) == 10 and kept.bytes == 0  # larger than all the room
    kept(1)
    kept.clear()
    assert kept.bytes == 0 and kept(1) == 2 and calls == [1, 2, 3, 5, 1, 1]


def test_no_more_results_are_kept_than_that() -> None:
    kept = Kept(abs, most=2, limit=100, size=abs)
    assert [kept(number) for number in (1, 2, 3)] == [1, 2, 3] and kept.bytes == 5


def test_levels_of_many_codes_take_bounded_memory() -> None:
    limit = 2**20
    small = Kept(levels_of._function, 100, limit, levels_of._size)
    made = [small(FewSpike(12, 1.5 + each / 64, 12).table(), torch.float64, torch.device("cpu")) for each in range(16)]
    assert all(levels is not None for levels in made)
    assert sum(levels.bytes for levels in made if levels is not None) > limit >= small.bytes > limit / 2
