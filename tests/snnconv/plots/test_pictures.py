"""All pictures: each fits a column, changes no setting, and names the extra that it needs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import matplotlib
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes

import snnconv
from coding import Phase, Rate
from snnconv import ConfigurationError, plots
from tests.support.drawn import Swept, attending, evaluation, pipeline, rasters
from tests.support.networks import make, network_of

#: Every picture, drawn on given axes or on its own.
PICTURES: dict[str, Callable[[Axes | None], Axes]] = {
    "accuracy_over_steps": lambda axes: plots.accuracy_over_steps(evaluation(), axes),
    "verification": lambda axes: plots.verification(snnconv.verify(network_of("deep")), axes),
    "energy": lambda axes: plots.energy({"rate": evaluation()}, axes),
    "pareto": lambda axes: plots.pareto(Swept(), "energy", axes),
    "raster": lambda axes: plots.raster(rasters(pipeline()), network=pipeline(), axes=axes),
    "membranes": lambda axes: plots.membranes(network_of("deep"), make("deep")[1], axes=axes),
    "levels": lambda axes: plots.levels([Rate(4), Phase(4)], axes),
    "staircase": lambda axes: plots.staircase([Rate(4), Phase(4)], axes),
    "intervals": lambda axes: plots.intervals(snnconv.spike_statistics(network_of("deep"), make("deep")[1]), axes),
    "attention": lambda axes: plots.attention(attending()[0], attending()[2], axes=axes),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_fits_a_column_and_leaves_all_settings_alone(name: str) -> None:
    before = dict(matplotlib.rcParams)
    axes = PICTURES[name](None)
    figure: Any = axes.figure
    assert figure.get_figwidth() == plots.COLUMN == 3.3 and figure.get_figheight() <= 4.5
    figure.draw_without_rendering()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 >= -0.01 and drawn.y0 >= -0.01 and drawn.x1 <= width + 0.01 and drawn.y1 <= height + 0.01
    assert {text.get_size() for text in axes.get_xticklabels()} == {7.0} and axes.xaxis.label.get_size() == 8.0
    assert axes.get_xlabel() and dict(matplotlib.rcParams) == before
    given = pyplot.figure().subplots()
    assert PICTURES[name](given) is given


def test_every_picture_is_among_those_tested() -> None:
    helpers = {"COLOURS", "COLUMN", "QUIET", "attention_weights", "new_axes", "plain", "quantizer", "save_figure"}
    assert set(plots.__all__) == set(PICTURES) | helpers


@pytest.mark.parametrize("name", PICTURES)
def test_without_matplotlib_every_picture_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'snnconv\[plots\]'"):
        PICTURES[name](None)
