"""Accuracy over time steps: courses, points and their intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import snnconv
from snnconv import ConfigurationError, plots
from snnconv.metrics.binomial import binomial_interval
from tests.support.drawn import evaluation, pipeline
from tests.support.networks import make, network_of


def test_accuracy_is_drawn_by_step_within_its_interval_beside_the_original() -> None:
    found = evaluation()
    axes = plots.accuracy_over_steps(found)
    course, original = axes.lines
    assert list(course.get_xdata()) == [*range(1, 25)] and list(course.get_ydata()) == found.accuracy_by_step
    assert set(original.get_ydata()) == {found.reference_accuracy} and axes.get_xscale() == "log"
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    low, high = binomial_interval(found.accuracy or 0.0, 40)
    at_end = corners[corners[:, 0] == 24, 1]
    assert (at_end.min(), at_end.max()) == pytest.approx((low, high)) and axes.get_ylabel() == "accuracy (%)"


def test_a_pipeline_is_a_point_with_a_bar_and_agreement_stands_in_for_accuracy() -> None:
    model, x = make("deep")
    found = snnconv.evaluate(pipeline(), (x, model(x).argmax(1)), reference=model)
    axes = plots.accuracy_over_steps({"stream": evaluation(), "window": found})
    point = axes.lines[1]
    assert (list(point.get_xdata()), list(point.get_ydata())) == ([found.steps], [found.accuracy])
    (segment,) = axes.collections[1].get_segments()
    np.testing.assert_allclose(segment[:, 1], binomial_interval(found.accuracy or 0.0, 40))
    assert plots.accuracy_over_steps(evaluation(targets=False)).get_ylabel() == "decides as the original (%)"


def test_a_few_steps_are_marked_as_whole_numbers() -> None:
    model, x = make("deep")
    axes = plots.accuracy_over_steps(snnconv.evaluate(network_of("deep"), x, reference=model, steps=4))
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_a_pipeline_alone_is_marked_with_its_steps() -> None:
    found = snnconv.evaluate(pipeline(), make("deep")[1])
    longer = replace(found, steps=24)
    axes = plots.accuracy_over_steps(longer)
    low, high = axes.get_xlim()
    assert 24 in [tick for tick in axes.get_xticks() if low <= tick <= high]


def test_what_cannot_be_compared_is_not_drawn_together() -> None:
    with pytest.raises(ConfigurationError, match=r"judged alike, got accuracy .* and decides as the original"):
        plots.accuracy_over_steps({"a": evaluation(), "b": evaluation(targets=False)})
    with pytest.raises(ConfigurationError, match="judged alike, got nothing"):
        plots.accuracy_over_steps({})
    alone = replace(evaluation(targets=False), agreement=None, agreement_by_step=None)
    with pytest.raises(ConfigurationError, match="neither targets nor an original network"):
        plots.accuracy_over_steps(alone)
    with pytest.raises(ConfigurationError, match="there is no evaluation to draw"):
        plots.energy({})


def test_values_are_drawn_as_deviation_without_an_interval() -> None:
    model, x = make("deep")
    found = snnconv.evaluate(network_of("deep"), (x, model(x).detach()), reference=model)
    axes = plots.accuracy_over_steps(found)
    assert axes.get_ylabel() == "deviation from the original (%)" and not axes.collections
    assert list(axes.lines[0].get_ydata()) == [100.0 * each for each in found.deviation_by_step or []]


def test_one_sample_has_a_wide_interval() -> None:
    found = evaluation(samples=1)
    assert found.judged == 1 and found.accuracy is not None
    (band,) = plots.accuracy_over_steps(found).collections
    extent = band.get_paths()[0].get_extents()
    assert extent.y1 - extent.y0 > 70.0 and extent.y0 >= 0.0 and extent.y1 <= 100.0


def test_intervals_of_shares_by_hand() -> None:
    # Wilson's interval of 8 of 10, and of 10 of 10, at 95 %
    assert binomial_interval(80.0, 10) == pytest.approx((49.02, 94.33), abs=0.01)
    assert binomial_interval(100.0, 10) == pytest.approx((72.25, 100.0), abs=0.01)
    assert binomial_interval(0.0, 10) == pytest.approx((0.0, 27.75), abs=0.01)
