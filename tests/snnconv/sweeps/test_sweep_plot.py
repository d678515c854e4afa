"""Sweeps once measured: Pareto fronts, the table and the picture."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from snnconv import ConfigurationError, StorageError, Sweep
from snnconv.plots.fronts import short_labels
from snnconv.sweeps.results import Measured

matplotlib.use("Agg")
from matplotlib import pyplot


def point(label: str, spikes: float, accuracy: float | None, **figures: Any) -> Measured:
    code = label.split()[0]
    figures = {"latency": 4.0, "e3": 2e-6, "agreement": 50.0, **figures}
    loss = None if accuracy is None else 90.0 - accuracy
    reference = None if accuracy is None else 90.0
    return Measured(
        *(label, code, 10, 4, figures["latency"], accuracy, reference, loss, 1.0, figures["agreement"], 5, spikes),
        *(100.0, 0, 500, 1e-6, 2e-6, figures["e3"], 3e-6),
    )


POINTS = Sweep(
    (
        point("rate 8", 2.0, 88.0, latency=8.0, e3=4e-6),
        point("rate 4", 1.0, 80.0),
        point("rate 16", 4.0, 88.0, latency=16.0, e3=8e-6),  # as accurate, and dearer
        point("few 4", 0.5, 70.0, latency=12.0, e3=1e-6),
        point("few 8", 0.7, 60.0, latency=24.0, e3=2e-6),  # beaten
        point("few again", 0.5, 70.0, latency=12.0, e3=1e-6),  # beaten by none, like its equal
    )
)


def test_pareto_fronts_by_hand() -> None:
    def front(cost: Any) -> list[str]:
        return [result.label for result in POINTS.pareto(cost)]

    assert front("spikes") == ["few 4", "few again", "rate 4", "rate 8"]
    assert front("latency") == ["rate 4", "rate 8"]
    assert front("energy") == ["few 4", "few again", "rate 4", "rate 8"]
    assert Sweep(()).pareto() == ()
    with pytest.raises(ConfigurationError, match="unknown cost 'money'; known: spikes, latency, energy"):
        front("money")


def test_agreement_stands_in_for_accuracy() -> None:
    found = Sweep((point("a", 1.0, None, agreement=80.0), point("b", 2.0, None, agreement=70.0)))
    assert [result.label for result in found.pareto()] == ["a"]
    assert found.plot()[0].get_ylabel() == "decides as the original (%)"
    assert "original network: no targets" in str(found)
    pyplot.close("all")


def test_a_sweep_prints_as_a_table() -> None:
    lines = str(POINTS).splitlines()
    assert " ".join(lines[0].split()) == (
        "configuration steps accuracy (%) standard error (%) loss (%) agreement (%) spikes per neuron SynOps E2 (J) "
        "E3 (J) Pareto front"
    )
    first = "rate 8 8 88.00 1.00 2.00 50.00 2.000 100 1e-06 4e-06 spikes, latency, energy"
    assert " ".join(lines[1].split()) == first
    assert lines[-1] == "original network: 90.00 %, E2 2e-06 J, E3 3e-06 J; 10 samples"
    assert json.loads(json.dumps(POINTS.to_dict()))["results"][0]["label"] == "rate 8"


def test_the_picture_holds_all_points_fronts_labels_and_the_original(tmp_path: Path) -> None:
    axes = POINTS.plot()
    assert [panel.get_xlabel() for panel in axes] == [
        "spikes per neuron",
        "latency (time steps)",
        "energy of a sample (model E3)",
    ]
    assert axes[0].get_ylabel() == "accuracy (%)"
    for panel, cost in zip(axes, ("spikes", "latency", "energy"), strict=True):
        assert panel.get_xscale() == "log"
        lines = {str(line.get_label()): line for line in panel.lines}
        front = POINTS.pareto(cost)
        assert list(lines["Pareto front"].get_xdata()) == [result.cost(cost) for result in front]
        for result in POINTS.results:
            (x,), (y,) = lines[result.label].get_data()
            assert (x, y) == (result.cost(cost), result.quality)
            assert (lines[result.label].get_markerfacecolor() == "white") is (result not in front)
        assert [90.0, 90.0] in [list(line.get_ydata()) for line in panel.lines]
        assert ("ANN" in lines) is (cost == "energy")
        texts = [text.get_text() for text in panel.texts]
        assert texts == ["ANN\n90.00", "8", "4", "rate 16", "4", "8", "few again"]
        low, high = panel.get_xlim()
        assert low < min(r.cost(cost) for r in POINTS.results)
        assert high > max(r.cost(cost) for r in POINTS.results)
    pyplot.close("all")


def test_labels_do_not_cover_points_or_each_other() -> None:
    points = [point(f"code{i % 3} {i}", 0.5 * 1.35**i, 60.0 + 3.0 * (i * 5 % 9)) for i in range(9)]
    panel = Sweep(tuple(points)).plot()[0]
    boxes = [text.get_window_extent() for text in panel.texts]
    marks = panel.transData.transform([(result.cost("spikes"), result.quality) for result in points])
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    assert not any(box.contains(x, y) for box in boxes for x, y in marks)
    pyplot.close("all")


def test_labels_do_not_cover_the_legend() -> None:
    corners = [point(f"code{i} x", spikes, 50.0 + 40.0 * up) for i, (spikes, up) in enumerate(product((1, 9), (0, 1)))]
    panel = Sweep(tuple(corners)).plot()[0]
    legend = panel.get_legend()
    assert legend is not None
    box = legend.get_window_extent()
    assert not any(box.overlaps(text.get_window_extent()) for text in panel.texts)
    assert not any(box.contains(*panel.transData.transform((p.spikes_per_neuron, p.quality))) for p in corners)
    pyplot.close("all")


def test_labels_leave_out_the_words_that_a_family_shares() -> None:
    assert short_labels([point("rate 4", 1, 1), point("rate 8", 1, 1)]) == ["4", "rate 8"]
    assert short_labels([point("rate 4 mse", 1, 1), point("rate 4", 1, 1)]) == ["4 mse", "rate 4"]
    assert short_labels([point("rate", 1, 1), point("rate 8", 1, 1)]) == ["rate", "rate 8"]
    assert short_labels([point("alone here", 1, 1)]) == ["alone here"]


def test_a_picture_goes_to_a_file_or_to_own_axes(tmp_path: Path) -> None:
    POINTS.plot(tmp_path / "pareto.png")
    assert (tmp_path / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert not pyplot.get_fignums()  # what is only written is not left open
    _, axes = pyplot.subplots(1, 3)
    assert POINTS.plot(axes) is axes
    with pytest.raises(ConfigurationError, match="three axes, got 2"):
        POINTS.plot(axes[:2])
    pyplot.close("all")
    for name in ("no folder/pareto.png", "pareto.abc"):
        with pytest.raises(StorageError, match=r"pareto\..* cannot be written"):
            POINTS.plot(tmp_path / name)
    with pytest.raises(ConfigurationError, match="no results to draw"):
        Sweep(()).plot(tmp_path / "none.png")
    assert not pyplot.get_fignums()


def test_what_has_no_spikes_has_no_place_among_the_spikes() -> None:
    silent = replace(POINTS.results[1], label="rate 2", spikes_per_neuron=0.0, accuracy=10.0)
    best = replace(silent, accuracy=99.0)  # alone on the front
    for results in ((silent, *POINTS.results), (best, *POINTS.results), (silent,)):
        panel, *others = Sweep(results).plot()
        points = [point for line in panel.lines if line.get_label() != "ANN" for point in line.get_xydata()]
        assert not any(x == 0.0 and y in (10.0, 99.0) for x, y in points)
        assert panel.get_xscale() == ("log" if len(results) > 1 else "linear")
        assert not any(text.get_text() == "2" for text in panel.texts)
        assert all(other.get_ylim() == panel.get_ylim() for other in others)
        assert all("rate 2" in {line.get_label() for line in other.lines} for other in others)
    pyplot.close("all")


def test_labels_are_drawn_as_they_are_written(tmp_path: Path) -> None:
    odd = replace(POINTS.results[0], label=r"$\nonsense$ for $5")
    axes = Sweep((odd,)).plot(tmp_path / "odd.png")
    assert axes[0].texts[-1].get_text() == odd.label and (tmp_path / "odd.png").exists()


def test_subfigures_can_be_drawn_on_and_single_axes_cannot() -> None:
    part = pyplot.figure().subfigures(2)[0]
    assert len(POINTS.plot(part.subplots(1, 3))) == 3
    with pytest.raises(ConfigurationError, match="three axes, got Axes"):
        POINTS.plot(pyplot.figure().subplots())
    pyplot.close("all")


def test_without_targets_in_a_single_point_the_axis_still_holds_it() -> None:
    only = replace(point("a", 1.0, None), agreement=100.0)
    panel = Sweep((only,)).plot()[0]
    assert panel.get_xlim()[0] < 1.0 < panel.get_xlim()[1]
    pyplot.close("all")
