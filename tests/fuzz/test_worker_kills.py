"""Kills of workers: one at a random moment of a sweep and one of an evaluation, break nothing."""

from __future__ import annotations

from tests.fuzz.worker_kills import WorkerTally, killed


def test_killed_workers_lose_nothing_and_leave_nothing() -> None:
    tally = WorkerTally()
    killed(2, 0, tally)
    assert tally.faults == [] and tally.kills == 2
