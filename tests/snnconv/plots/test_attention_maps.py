"""Shares of attention from spikes and of the original."""

from __future__ import annotations

import numpy as np
import pytest

from snnconv import ConfigurationError, plots
from tests.support.drawn import attending, pipeline
from tests.support.networks import make


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
