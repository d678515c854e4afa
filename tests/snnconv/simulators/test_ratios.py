"""Ratios of two signals: thresholds times the divisor in the clock, a division in closed form, with the same spikes."""

from __future__ import annotations

import pytest

from coding import TTFS, FewSpike, OneSpike, Phase, Rate, TableSpike
from tests.support.pipelines import assert_simulators_agree
from tests.support.ratios import NETWORKS, RatioCalibrator, ratio_model

CODES = (FewSpike(6, spikes=3), OneSpike(16), Phase(8), TableSpike(16), TTFS(14, 4.0), Rate(9))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_clock_fires_the_spikes_of_the_closed_form(name: str) -> None:
    model, x = ratio_model(name)
    calibrator = RatioCalibrator(model, x)
    for code in CODES:
        network = calibrator.network(code, percentile=100)  # largest values lie on levels
        assert network.execution_plan.ratios
        assert_simulators_agree(network, x)
        error = (network(x) - network.reference(x)).norm() / network.reference(x).norm()
        assert error < 0.2, code
