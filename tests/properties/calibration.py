"""What calibration depends on: the samples, not their order nor how they are batched."""

from __future__ import annotations

import torch

from snnconv.calibration.assembly import Calibrator
from tests.properties.registry import assert_equal, holds
from tests.support.random_networks.specimen import SAMPLES, Specimen


@holds("calibration has no order")
def calibration_has_no_order(specimen: Specimen) -> None:
    """The same samples in another order and in other batches give the same codes, scales, shifts and output."""
    order = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(specimen.script.seed))
    shuffled = [tuple(x[part] for x in specimen.inputs) for part in order.split(5)]
    batches = [specimen.data(part) for part in shuffled]
    calibrator = Calibrator(specimen.model, batches, None)
    calibrator.captured = specimen.calibrator.captured  # which takes longer than all the rest
    network, again = specimen.network, specimen.converted(specimen.setting, calibrator)
    assert network.populations.keys() == again.populations.keys()
    for node, population in network.populations.items():
        other = again.populations[node]
        assert population.code == other.code, f"{population.name}: code"
        assert_equal(other.scale, population.scale, f"{population.name}: scale")
        assert_equal(other.shift, population.shift, f"{population.name}: shift")
    assert_equal(again(*specimen.inputs), network(*specimen.inputs), "output")
