"""The chart of accuracy over time steps: its lines, their intervals, and what it says to who cannot see it."""

from __future__ import annotations

import html
import re

import pytest
import torch

import snnconv
from snnconv.metrics.binomial import binomial_interval
from tests.support.networks import make, network_of


def chart(targets: bool) -> tuple[snnconv.Evaluation, str]:
    """What was measured, and the chart of a report on it."""
    model, x = make("deep")
    with torch.no_grad():
        data = (x, model(x).argmax(1).roll(1)) if targets else x
    found = snnconv.evaluate(network_of("deep"), data, reference=model)
    page = snnconv.report(network_of("deep"), data, evaluation=found).html
    return found, page[page.index('id="course"') : page.index('id="populations"')]


def bands(chart: str) -> list[list[tuple[float, float]]]:
    paths = re.findall(r'<path d="M([^"]*)Z" class="band [^"]*"', chart)
    return [[(float(x), float(y)) for x, y in (point.split() for point in path.split("L"))] for path in paths]


def test_shares_of_decisions_have_bands_that_are_their_intervals() -> None:
    found, drawn = chart(targets=True)
    assert found.accuracy_by_step and found.agreement_by_step and found.decided
    both = bands(drawn)
    for band, course, count in zip(
        both,
        (found.accuracy_by_step, found.agreement_by_step),
        (found.judged, found.decided),
        strict=True,
    ):
        intervals = [binomial_interval(value, count) for value in course]
        heights = [y for _, y in band]
        lows, highs = heights[: len(course)], heights[: len(course) - 1 : -1]
        # Heights run downwards; how many percent a unit of them is follows from the first and the widest interval.
        ends = [*zip(lows, (low for low, _ in intervals)), *zip(highs, (high for _, high in intervals))]  # noqa: B905
        (y, percent), (other_y, other) = min(ends, key=lambda end: end[1]), max(ends, key=lambda end: end[1])
        unit = (other - percent) / (other_y - y)
        for height, value in ends:
            assert percent + unit * (height - y) == pytest.approx(value, abs=0.2)
    assert "95 % interval" in drawn


def test_the_chart_says_its_intervals() -> None:
    found, drawn = chart(targets=True)
    low, high = binomial_interval(found.accuracy or 0.0, found.judged)
    says = html.unescape(drawn)
    assert f"accuracy ends at {found.accuracy:.4g} (95 % interval {low:.4g} to {high:.4g})" in says
    found, drawn = chart(targets=False)
    low, high = binomial_interval(found.agreement or 0.0, found.decided or 0)
    assert f"agreement ends at {found.agreement:.4g} (95 % interval {low:.4g} to {high:.4g})" in drawn
    assert len(bands(drawn)) == 1


def test_values_have_no_interval() -> None:
    model, x = make("deep")
    with torch.no_grad():
        page = snnconv.report(network_of("deep"), (x, model(x) + 0.1), reference=model).html
    assert 'id="course"' in page and 'class="band' not in page and "95 % interval" not in page
