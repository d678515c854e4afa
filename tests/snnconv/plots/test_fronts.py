"""Configurations of a sweep with their Pareto front."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snnconv import ConfigurationError, plots
from snnconv.metrics.binomial import binomial_interval
from tests.support.drawn import Swept


def test_labels_of_a_front_cover_no_other_and_bars_are_intervals() -> None:
    for count in (1, 6, 60):
        axes = plots.pareto(Swept(count))
        boxes = [text.get_window_extent() for text in axes.texts if "ANN" not in text.get_text()]
        apart = [
            one.shrunk(0.8, 0.8).overlaps(other.shrunk(0.8, 0.8)) for i, one in enumerate(boxes) for other in boxes[:i]
        ]
        assert boxes and not any(apart)
    (segment,) = plots.pareto(Swept(1)).collections[0].get_segments()
    np.testing.assert_allclose(segment[:, 1], binomial_interval(60.0, 150))
    agreeing, unknown = Swept(1), Swept(1)
    agreeing.results = [replace(agreeing.results[0], accuracy=None)]
    (segment,) = plots.pareto(agreeing).collections[0].get_segments()
    np.testing.assert_allclose(segment[:, 1], binomial_interval(50.0, 200))
    unknown.results = [replace(unknown.results[0], judged=None)]
    assert not plots.pareto(unknown).collections
    empty = Swept(0)
    with pytest.raises(ConfigurationError, match="no results to draw"):
        plots.pareto(empty)
