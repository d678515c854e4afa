"""Membrane potentials step by step."""

from __future__ import annotations

import numpy as np
import pytest

from snnconv import ConfigurationError, InputError, plots
from tests.support.drawn import pipeline
from tests.support.networks import make, network_of


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
