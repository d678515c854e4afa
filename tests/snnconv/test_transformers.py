"""Norms, softmax and attention convert: the graph is the model, and both simulators fire the same spikes."""

from __future__ import annotations

import pytest
import torch

from coding import FewSpike, OneSpike, Pipeline
from coding.plan import as_plan
from snnconv.calibration.assembly import Calibrator, assemble
from snnconv.calibration.options import Options
from tests.support.pipelines import assert_simulators_agree
from tests.support.transformers import BODIES, transformer


@pytest.mark.parametrize("name", BODIES)
def test_the_graph_is_the_model_and_both_simulators_fire_the_same_spikes(name: str) -> None:
    model, x = transformer(name)
    calibrator = Calibrator(model, x, None)
    for code in (FewSpike(5, spikes=3), OneSpike(8)):
        plan, options = as_plan(code, None, Pipeline()), Options(percentile=100)  # largest values lie on levels
        network = assemble(calibrator.calibrated(plan, options), plan, options)
        assert_simulators_agree(network, x)
    assert torch.allclose(network.reference(x), model(x), rtol=1e-9, atol=1e-9)
