"""How far the work is where standard error is no terminal: a line now and then, with the time that is left."""

from __future__ import annotations

import logging

import pytest

from snnconv.cli.console import warnings_told
from snnconv.cli.progress import ProgressLines, search_announced
from snnconv.progress import Progress
from snnconv.text import duration_text


def test_a_line_comes_at_most_every_half_minute_and_says_what_is_left() -> None:
    lines: list[str] = []
    now = 0.0
    heard = ProgressLines(lines.append, lambda: now)
    for now in range(0, 101, 10):
        heard(Progress("evaluating", 2 * now, 1000))
    heard(Progress("evaluating", 1000, 1000))
    assert lines == [
        "evaluating: 60 of 1000, about 8 min left",
        "evaluating: 120 of 1000, about 7 min left",
        "evaluating: 180 of 1000, about 7 min left",
    ]


def test_what_was_done_before_does_not_shorten_the_estimate() -> None:
    """Of a training that goes on, 90 of 100 steps were read from its file: 5 in half a minute leave half a minute."""
    lines: list[str] = []
    now = 0.0
    heard = ProgressLines(lines.append, lambda: now)
    heard(Progress("training", 90, 100))
    now = 30.0
    heard(Progress("training", 95, 100))
    now = 60.0
    heard(Progress("reading", 3, None))
    assert lines == ["training: 95 of 100, about 30 s left", "reading: 3"]


def test_the_first_of_many_parts_says_nothing_of_the_time_that_is_left() -> None:
    """First layers are the largest: one of 55 took half a minute, which is not what the 54 others take."""
    lines: list[str] = []
    now = 0.0
    heard = ProgressLines(lines.append, lambda: now)
    heard(Progress("correcting", 0, 55))
    now = 30.0
    heard(Progress("correcting", 1, 55))
    now = 60.0
    heard(Progress("correcting", 11, 55))
    assert lines == ["correcting: 1 of 55", "correcting: 11 of 55, about 4 min left"]


def test_short_work_says_nothing() -> None:
    lines: list[str] = []
    heard = ProgressLines(lines.append, lambda: 0.0)
    for done in range(11):
        heard(Progress("verifying", done, 10))
    assert lines == []


def test_the_cost_of_a_search_and_its_warnings_are_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = logging.getLogger("snnconv.search.searching")
    with warnings_told(), search_announced():
        logger.info("it costs an hour")
        logger.warning("it has few samples")
    logger.info("it is over")
    assert capsys.readouterr() == ("", "it costs an hour\nwarning: it has few samples\n")


def test_durations_are_said_in_units_of_their_size() -> None:
    found = [duration_text(seconds) for seconds in (0.02, 8.4, 99.0, 100.0, 5999.0, 7800.0)]
    assert found == ["0.02 s", "8 s", "99 s", "2 min", "1 h 40 min", "2 h 10 min"]
