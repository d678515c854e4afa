"""Bars of errors, population by population."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch

import snnconv
from snnconv import ConfigurationError, plots
from snnconv.metrics.verification_result import verification_of
from snnconv.simulators.run import Run
from tests.support.drawn import sums
from tests.support.networks import network_of


def test_the_worst_population_is_marked_with_its_cause() -> None:
    found = snnconv.verify(network_of("deep"))
    axes = plots.verification(found)
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["layers.1", "layers.3", "output"]
    whole, own = (container.patches for container in axes.containers)
    np.testing.assert_allclose(
        [bar.get_width() for bar in whole], [*(100 * each.relative for each in found.populations), 100 * found.output]
    )
    np.testing.assert_allclose([bar.get_width() for bar in own][:2], [100 * each.own for each in found.populations])
    colours = [matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in own]
    assert colours.index(plots.COLOURS[1]) == rows.index(found.reading.population)
    assert [text.get_text() for text in axes.texts] == [found.reading.cause]


def test_ten_thousand_populations_are_drawn_by_their_largest_errors() -> None:
    many = sums(10_000)
    many.populations["layer77"] = replace(many.populations["layer77"], own2=50.0, error2=4e4)
    axes = plots.verification(verification_of(4, many, True, frozenset()))
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert len(rows) == 25 and "layer77" in rows and axes.get_ylabel() == "24 largest of 10,000"
    assert [text.get_text() for text in axes.texts] == ["over 1000, too few spikes"]
    run = Run(
        None,
        torch.tensor([4]),
        1,
        {},
        0.0,
        {},
        {},
        False,
        {},
        rasters={f"p{n}": torch.ones(4, 1, 1) for n in range(10_000)},
    )
    axes = plots.raster(run)
    assert len(axes.collections) == 24 and axes.get_ylabel() == "24 of 10,000 populations"
    assert [axes.get_yticklabels()[place].get_text() for place in (0, -1)] == ["p0", "p9999"]


def test_a_verification_without_errors_is_drawn() -> None:
    axes = plots.verification(verification_of(4, sums(2, error2=0.0, own2=0.0, cut2=0.0), True, frozenset()))
    assert axes.get_xlim() == (0.0, 1.0) and not axes.texts
    with pytest.raises(ConfigurationError, match="most must be at least 1, got 0"):
        plots.verification(verification_of(4, sums(1), True, frozenset()), most=0)
