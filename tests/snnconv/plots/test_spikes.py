"""Spikes over time, and the intervals between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import snnconv
from coding import OneSpike
from snnconv import ConfigurationError, plots
from snnconv.plots.spikes import evenly
from snnconv.simulators.run import Run
from tests.support.drawn import pipeline, rasters
from tests.support.networks import make, network_of


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
        False,
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


def test_places_are_evenly_spaced() -> None:
    assert evenly(3, 5) == [0, 1, 2] and evenly(9, 3) == [0, 4, 8] and evenly(0, 3) == []
    assert evenly(2**25 + 1, 2) == [0, 2**25]
