"""Pictures of what was measured: what is drawn, that it fits a column, and what is said where nothing can be drawn."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from torch import nn

import snnconv
from coding import FewSpike, OneSpike, Phase, Rate
from snnconv import ConfigurationError, Evaluation, InputError, plots
from snnconv.metrics.binomial import binomial_interval
from snnconv.metrics.error_sums import ErrorSums, VerificationSums
from snnconv.metrics.verification_result import verification_of
from snnconv.plots.spikes import evenly
from snnconv.simulators.run import Run
from snnconv.sweeps.results import Measured
from tests.support.networks import make, network_of
from tests.support.transformers import transformer

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    pyplot.close("all")


@functools.cache
def evaluation(targets: bool = True, samples: int = 40) -> Evaluation:
    model, x = make("deep")
    x = x[:samples]
    data = (x, model(x).argmax(1).roll(1) if samples > 1 else model(x).argmax(1)) if targets else x
    return snnconv.evaluate(network_of("deep"), data, reference=model)


@functools.cache
def pipeline() -> snnconv.SpikingNetwork:
    model, x = make("deep")
    return snnconv.convert(model, x, coding=Phase(5))


@functools.cache
def attending() -> tuple[snnconv.SpikingNetwork, nn.Module, torch.Tensor]:
    model, x = transformer("attention")
    return snnconv.convert(model, x, coding=FewSpike(10, spikes=5)), model, x


def sums(count: int, **figures: float) -> VerificationSums:
    fields = {"error2": 1.0, "norm2": 100.0, "own2": 0.5, "received2": 100.0, "cut2": 0.4, "total": 10, "inactive": 5}
    one = ErrorSums(**{**fields, **figures})
    return VerificationSums(9, {f"layer{number}": one for number in range(count)}, one)


class Swept:
    """A sweep by hand."""

    def __init__(self, count: int = 6) -> None:
        self.results = [
            Measured(
                *(
                    f"code{n % 2} {n}",
                    f"code{n % 2}",
                    100,
                    4,
                    4.0 + n,
                    60.0 + 0.5 * n,
                    90.0,
                    30.0 - 0.5 * n,
                    4.0,
                    50.0,
                    5,
                ),
                *(0.5 + n, 100.0, 0, 500, 1e-6, 2e-6, 1e-6 * (1 + n), 3e-6),
                judged=150,
                decided=200,
            )
            for n in range(count)
        ]

    def pareto(self, cost: Any = "spikes") -> list[Measured]:
        return self.results


def rasters(network: snnconv.SpikingNetwork) -> Run:
    return network.run(make("deep")[1], record=["rasters"])


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


def test_one_original_calibrated_twice_is_one_bar() -> None:
    found = evaluation()
    macs = found.activity.reference_active_macs
    nearly, other = (
        replace(found, activity=replace(found.activity, reference_active_macs=factor * macs)) for factor in (1.00001, 2)
    )
    axes = plots.energy({"a": found, "b": nearly, "c": other})
    assert [label.get_text() for label in axes.get_yticklabels()] == ["original", "a", "b", "original of c", "c"]


def test_what_cannot_be_compared_is_not_drawn_together() -> None:
    with pytest.raises(ConfigurationError, match=r"judged alike, got accuracy .* and decides as the original"):
        plots.accuracy_over_steps({"a": evaluation(), "b": evaluation(targets=False)})
    with pytest.raises(ConfigurationError, match="judged alike, got nothing"):
        plots.accuracy_over_steps({})
    alone = replace(evaluation(targets=False), agreement=None)
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
        None, torch.tensor([4]), 1, {}, 0.0, {}, {}, {}, rasters={f"p{n}": torch.ones(4, 1, 1) for n in range(10_000)}
    )
    axes = plots.raster(run)
    assert len(axes.collections) == 24 and axes.get_ylabel() == "24 of 10,000 populations"
    assert [axes.get_yticklabels()[place].get_text() for place in (0, -1)] == ["p0", "p9999"]


def test_a_verification_without_errors_is_drawn() -> None:
    axes = plots.verification(verification_of(4, sums(2, error2=0.0, own2=0.0, cut2=0.0), True, frozenset()))
    assert axes.get_xlim() == (0.0, 1.0) and not axes.texts
    with pytest.raises(ConfigurationError, match="most must be at least 1, got 0"):
        plots.verification(verification_of(4, sums(1), True, frozenset()), most=0)


@pytest.mark.parametrize("model", ["E2", "E3"])
def test_parts_of_energy_add_up(model: str) -> None:
    found = evaluation()
    axes = plots.energy(found, model=model)
    spent = np.array([[bar.get_width() for bar in container.patches] for container in axes.containers]).sum(0)
    figures = found.energy.to_dict()
    np.testing.assert_allclose(spent, [figures[f"{model.lower()}_reference"], figures[model.lower()]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["original", "spiking"]
    bound = plots.energy({"original": replace(found, synops_are_bound=True)}, model=model)
    assert [label.get_text() for label in bound.get_yticklabels()] == ["original of original", "original"]
    assert [text.get_text()[0] == "≤" for text in bound.texts] == [False, True]
    learned = plots.energy(replace(found, agreement=None), model=model)
    assert [label.get_text() for label in learned.get_yticklabels()] == ["without spikes", "spiking"]
    with pytest.raises(ConfigurationError, match="energy model must be 'E2' or 'E3', got 'E1'"):
        plots.energy(found, model="E1")


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


def test_lines_of_weighted_spikes_are_as_long_as_what_they_carry() -> None:
    run = rasters(pipeline())
    drawn = plots.raster(run, "layers.1", network=pipeline(), neurons=100)
    segments = np.array(drawn.collections[0].get_segments())
    train = run.rasters["layers.1"][:, 0]
    lengths, payloads = np.diff(segments[:, :, 1])[:, 0], train[train != 0].numpy()
    order = payloads.argsort()
    assert np.all(np.diff(lengths[order]) > -1e-9) and 0.2 < lengths.min() < 0.5 < lengths.max() == pytest.approx(0.9)
    assert drawn.get_title("right") == "length: weight of the spike"
    alike = plots.raster(rasters(network_of("deep")))
    assert alike.get_title("right") == "" and {
        round(float(np.diff(segment[:, 1])[0]), 6) for segment in alike.collections[0].get_segments()
    } == {0.9}


def test_long_names_lose_their_middle() -> None:
    run = Run(
        None,
        torch.tensor([4]),
        1,
        {},
        0.0,
        {},
        {},
        {},
        rasters={"blocks.11.attention.projection.relu": torch.ones(4, 1, 1)},
    )
    (label,) = plots.raster(run).get_yticklabels()
    assert label.get_text() == "blocks.11.a…jection.relu" and len(label.get_text()) <= 25


def test_shares_of_intervals_are_those_of_the_statistics() -> None:
    found = snnconv.spike_statistics(network_of("deep"), make("deep")[1])
    axes = plots.intervals({"all": found, "first": found.populations[0]}, longest=3)
    for container, train in zip(axes.containers, (found.overall, found.populations[0]), strict=True):
        shares = [100.0 * (train.interval_share(d, d) or 0.0) for d in (1, 2, 3)] + [
            100.0 * (train.interval_share(4) or 0)
        ]
        np.testing.assert_allclose([bar.get_height() for bar in container.patches], shares)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3", "> 3"]


def test_without_spikes_there_are_no_intervals_and_silent_membranes() -> None:
    model, x = make("deep")
    once = snnconv.convert(model, x, coding=OneSpike(5, base=2.0))
    with pytest.raises(ConfigurationError, match="all: no neuron fired twice in a sample"):
        plots.intervals(snnconv.spike_statistics(once, x))
    with pytest.raises(ConfigurationError, match="there are no statistics"):
        plots.intervals({})
    node, population = next(iter(network_of("deep").populations.items()))
    deaf = network_of("deep").with_(populations={node: replace(population, scale=population.scale * 1e6)})
    silent = plots.membranes(deaf, x, population.name, neurons=2)
    assert len(silent.lines) == 3 and not any(len(drawn.get_segments()) for drawn in silent.collections)


def test_membranes_are_what_currents_add_up_to_less_what_spikes_take() -> None:
    network, x = network_of("deep"), make("deep")[1]
    axes = plots.membranes(network, x, "layers.1", sample=3, neurons=1)
    path = np.asarray(axes.lines[2].get_ydata())
    train = network.run(x, record=["layers.1"]).rasters["layers.1"][:, 3]
    firing = train.ne(0).any(0).nonzero().flatten()
    first = int(firing[0])
    model, _ = make("deep")
    current = model.layers[0](x)[3, first].detach() / network.populations[network.node_of("layers.1")].scale[first]  # type: ignore[union-attr, index, operator]
    expected = 0.5 + np.arange(1, 25) * float(current) - train[:, first].cumsum(0).numpy()
    np.testing.assert_allclose(path, expected, atol=1e-5)
    ticks = [segment[0, 0] for segment in axes.collections[0].get_segments()]
    assert ticks == train[:, first].nonzero().flatten().tolist()


def test_membranes_of_a_pipeline_integrate_and_then_fire_in_their_window() -> None:
    axes = plots.membranes(pipeline(), make("deep")[1], "layers.3", neurons=2)
    assert axes.get_xlim() == (-0.5, 9.5)  # its window is the second of 5 steps
    fired = [segment[0, 0] for drawn in axes.collections for segment in drawn.get_segments()]
    assert fired and min(fired) >= 5
    path = np.asarray(axes.lines[2].get_ydata())
    assert len(path) == 10 and path[5:].max() <= path[4] + 1e-6


def test_membranes_that_cannot_be_drawn() -> None:
    network, x = network_of("deep"), make("deep")[1]
    with pytest.raises(ConfigurationError, match=r"there is no population 'layers\.9'"):
        plots.membranes(network, x, "layers.9")
    with pytest.raises(ConfigurationError, match="there is no sample 40: the batch has 40"):
        plots.membranes(network, x, sample=40)
    with pytest.raises(ConfigurationError, match="neurons must be at least 1"):
        plots.membranes(network, x, neurons=0)
    with pytest.raises(InputError):
        plots.membranes(network, x[:, :3])


def test_attention_of_spikes_is_near_that_of_the_original() -> None:
    network, _, x = attending()
    exact, spiking = (plots.attention_weights(network, x, sample=2, original=original) for original in (True, False))
    assert exact.shape == spiking.shape and exact.shape[-1] == exact.shape[-2] == 5
    np.testing.assert_allclose(exact.sum(-1), 1.0)
    np.testing.assert_allclose(spiking.sum(-1), 1.0)
    assert (exact - spiking).abs().max() < 0.1 < exact.max()
    axes = plots.attention(network, x, sample=2, head=0)
    np.testing.assert_allclose(axes.images[0].get_array(), spiking[0])


def test_attention_that_there_is_not() -> None:
    network, _, x = attending()
    with pytest.raises(ConfigurationError, match="there is no head 9"):
        plots.attention(network, x, head=9)
    with pytest.raises(ConfigurationError, match="there is no sample 99"):
        plots.attention(network, x, sample=99)
    with pytest.raises(ConfigurationError, match="is no exp of a softmax; those are: "):
        plots.attention(network, x, next(iter(network.populations)))
    with pytest.raises(ConfigurationError, match="no attention to draw"):
        plots.attention(pipeline(), make("deep")[1])


def test_places_are_evenly_spaced() -> None:
    assert evenly(3, 5) == [0, 1, 2] and evenly(9, 3) == [0, 4, 8] and evenly(0, 3) == []
    assert evenly(2**25 + 1, 2) == [0, 2**25]
