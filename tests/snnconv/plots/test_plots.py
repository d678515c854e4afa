"""Pictures: what is drawn, not how it looks."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

import snnconv
from coding import Burst, FewSpike, OneSpike, Phase, Rate
from snnconv import ConfigurationError, plots
from tests.support.networks import GraphConvolution, draw, make, prepared


def test_a_raster_shows_every_spike_of_the_chosen_sample() -> None:
    model, x = make("deep")
    run = snnconv.convert(model, x, coding=Rate(12)).run(x, record=["rasters"])
    axes = plots.raster(run, sample=3, neurons=100)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["layers.1", "layers.3"]
    for drawn, (name, train) in zip(axes.collections, run.rasters.items(), strict=True):
        segments = drawn.get_segments()
        assert drawn.get_label() == name and len(segments) == int(train[:, 3].ne(0).sum()) > 0
        assert {int(segment[0, 0]) for segment in segments} == set(train[:, 3].nonzero()[:, 0].tolist())
    assert axes.get_xlim() == (-0.5, 11.5) and axes.get_xlabel() == "time step"


def test_a_raster_shows_at_most_so_many_neurons_of_those_that_fire() -> None:
    model, x = make("deep")
    run = snnconv.convert(model, x, coding=Rate(12)).run(x, record=["layers.3"])
    axes = plots.raster(run, "layers.3", neurons=4)
    (drawn,) = axes.collections
    assert {float(segment[0, 1]) for segment in drawn.get_segments()} == {0.0, 1.0, 2.0, 3.0}


def test_a_raster_of_a_pipeline_starts_at_the_windows() -> None:
    model, x = make("deep")
    network = snnconv.convert(model, x, coding=FewSpike(6))
    run = network.run(x, record=["rasters"])
    axes = plots.raster(run, network=network)
    spikes, windows = axes.collections[::2], axes.collections[1::2]
    colours = [to_hex(drawn.get_color()[0]).upper() for drawn in spikes]
    assert colours == list(plots.COLOURS[:2])
    for start, drawn, window in zip((0, 6), spikes, windows, strict=True):
        steps = np.array([segment[0, 0] for segment in drawn.get_segments()])
        assert start <= steps.min() and steps.max() < start + 6
        extent = window.get_paths()[0].get_extents()
        assert (extent.x0, extent.x1) == (start - 0.5, start + 5.5)
    assert axes.get_xlim() == (-0.5, 11.5)
    with pytest.raises(ConfigurationError, match="pass network="):
        plots.raster(run)
    assert plots.raster(run, "layers.3").get_xlim() == (-0.5, 5.5)


def test_negative_spikes_point_down_and_silence_is_drawn_as_nothing() -> None:
    model, x = make("leaky relu")
    run = snnconv.convert(model, x, coding=Rate(12)).run(x, record=["rasters"])
    (drawn,) = plots.raster(run, neurons=100).collections
    (train,) = run.rasters.values()
    down = sum(segment[1, 1] < segment[0, 1] for segment in drawn.get_segments())
    assert down == int((train[:, 0] < 0).sum()) > 0
    run.rasters["activation"] = torch.zeros_like(train)
    (drawn,) = plots.raster(run, "activation").collections
    assert drawn.get_segments() == []


def test_a_raster_of_one_whole_graph() -> None:
    x = draw(6, 5)
    run = snnconv.convert(prepared(GraphConvolution), x, coding=Burst(9)).run(x, record=["rasters"])
    (drawn,) = plots.raster(run, sample=None, neurons=100).collections
    assert len(drawn.get_segments()) == sum(run.spikes.values())
    with pytest.raises(ConfigurationError, match=r"takes one sample per call, .* pass sample=None"):
        plots.raster(run)  # the first sample of a graph would be its first node


def test_a_raster_that_was_not_recorded_is_an_error() -> None:
    model, x = make("deep")
    network = snnconv.convert(model, x, coding=Rate(4))
    with pytest.raises(ConfigurationError, match="the run has no rasters: record="):
        plots.raster(network.run(x))
    run = network.run(x, record=["rasters"])
    with pytest.raises(ConfigurationError, match=r"no raster of 'layers\.7'"):
        plots.raster(run, ["layers.1", "layers.7"])
    with pytest.raises(ConfigurationError, match="there is no sample 40: the run has 40"):
        plots.raster(run, sample=40)
    with pytest.raises(ConfigurationError, match="the run has 40: choose one"):
        plots.raster(run, sample=None)
    for count in (0, -1):
        with pytest.raises(ConfigurationError, match=f"neurons must be at least 1, got {count}"):
            plots.raster(run, neurons=count)


def test_levels_are_the_values_that_a_code_can_carry() -> None:
    codes = {"rate": Rate(8), "phase": Phase(4), "one spike": OneSpike(5, base=2.0, rounding="floor")}
    axes = plots.levels(codes)
    wanted = [
        [k / 8 for k in range(9)],
        [k / 15 for k in range(16)],
        [0.0, *(2.0**-t for t in range(4, -1, -1))],
    ]
    for row, (drawn, values) in enumerate(zip(axes.collections, wanted, strict=True)):
        segments = np.array(drawn.get_segments())
        np.testing.assert_allclose(segments[:, 0, 0], values)
        assert segments[:, :, 1].mean() == pytest.approx(row)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(codes)
    assert [text.get_text() for text in axes.texts] == ["9 values", "16 values", "6 values"]


def test_a_staircase_is_the_quantiser_beside_the_identity() -> None:
    codes = [Rate(8), FewSpike(6, base=1.9, spikes=2)]
    axes = plots.staircase(codes)
    identity, *steps = axes.lines
    assert list(identity.get_xdata()) == [0, 1] == list(identity.get_ydata())
    for line, code in zip(steps, codes, strict=True):
        values, decoded = plots.quantizer(code)
        np.testing.assert_array_equal(line.get_ydata(), decoded.numpy())
        assert len(values) == len(decoded) and float(decoded.max()) == pytest.approx(1.0)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["rate, 8 steps", "few-spike, 6 steps"]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (0, 1.02))


def test_codes_that_share_name_and_steps_are_all_drawn() -> None:
    axes = plots.levels([FewSpike(6, base=1.7, spikes=2), FewSpike(6, base=1.7, spikes=3), FewSpike(8, base=1.7)])
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "few-spike(6, 1.7, 2, lookahead)",
        "few-spike(6, 1.7, 3, lookahead)",
        "few-spike, 8 steps",
    ]


@pytest.mark.parametrize("codes", [Rate(8), [], {}, ["rate"], {"rate": "rate"}])
def test_what_is_no_list_of_codes_is_refused(codes: Any) -> None:
    for draw_codes in (plots.levels, plots.staircase):
        with pytest.raises(ConfigurationError, match=r"codes must be listed, such as \[Rate\(8\)\], or labelled"):
            draw_codes(codes)


def test_axes_that_are_given_are_drawn_on() -> None:
    axes = plots.new_axes(2)
    assert plots.levels([Rate(4)], axes[0]) is axes[0] and plots.staircase([Rate(4)], axes[1]) is axes[1]
    model, x = make("deep")
    run = snnconv.convert(model, x, coding=Rate(4)).run(x, record=["rasters"])
    assert plots.raster(run, axes=axes[0]) is axes[0]


def test_codes_without_levels_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="burst code has no window form"):
        plots.levels([Burst(8)])
    with pytest.raises(ConfigurationError, match="base"):
        plots.levels([OneSpike(8)])


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'snnconv\[plots\]'"):
        plots.levels([Rate(4)])
