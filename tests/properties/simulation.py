"""What simulators agree on: spikes, counts, and that samples do not touch each other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from snnconv import SpikingNetwork
from tests.properties.registry import assert_close, holds, windowed
from tests.support.pipelines import assert_simulators_agree
from tests.support.random_networks.specimen import Specimen


@holds("the simulators agree", windowed)
def simulators_agree(specimen: Specimen) -> None:
    """The closed form of windows fires the clock's spikes, values on thresholds included."""
    assert_simulators_agree(specimen.network, specimen.given)


@holds("counts are sums of rasters")
def counts_are_sums_of_rasters(specimen: Specimen) -> None:
    """What is counted is what was recorded, and neither recording nor counting changes the output."""
    network = specimen.network
    run = network.run(specimen.given, record=["rasters"])
    found = {name: int(raster.count_nonzero()) for name, raster in run.rasters.items()}
    assert found == {name: int(count) for name, count in run.spikes.items()}
    assert_close(run.output, network(*specimen.inputs), "an output that was recorded")


@holds("samples stay apart")
def samples_stay_apart(specimen: Specimen) -> None:
    """A sample's spikes and output are the same whatever stands beside it, and by itself."""
    network = specimen.network
    others = specimen.script.samples(5, seed=1)
    changed = tuple(torch.cat([x[:1], other, x[:1]]) for x, other in zip(specimen.inputs, others, strict=True))
    first = tuple(x[:1] for x in specimen.inputs)
    spikes = [_trains(network, inputs) for inputs in (specimen.inputs, changed, first)]
    for name, whole in spikes[0].items():
        assert torch.equal(spikes[1][name][:, [0, -1]], whole[:, [0, 0]]), f"{name} beside others"
        assert torch.equal(spikes[2][name], whole[:, :1]), f"{name} in a batch of one"
    output = network(*specimen.inputs)
    assert_close(_rows(network(*changed), [0, -1]), _rows(output, [0, 0]), "beside other samples")
    assert_close(network(*first), _rows(output, [0]), "a batch of one")


def _trains(network: SpikingNetwork, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    run = network.run(inputs[0] if len(inputs) == 1 else inputs, record=["rasters"])
    return {name: raster.sign() for name, raster in run.rasters.items()}


def _rows(output: Any, rows: list[int]) -> list[Tensor]:
    return [tensor[rows] for tensor in tree_leaves(output)]
