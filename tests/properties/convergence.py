"""What rate code tends to: the network itself."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

import snnconv
from coding import Rate
from snnconv import SpikingNetwork
from tests.properties.registry import holds
from tests.support.random_networks.codings import Setting
from tests.support.random_networks.specimen import Specimen, is_refused

_FEW, _MANY = 8, 512


@holds("rate code converges")
def rate_code_converges(specimen: Specimen) -> None:
    """Between 8 and 512 steps of a window the error of values within range falls to a fourth, or to hundredths.

    Functions that are looked up have tables of their own, whatever the number of steps.
    """
    exact = Setting(Rate(_FEW), percentile=100.0)
    try:
        few, many = (specimen.converted(replace(exact, code=Rate(steps))) for steps in (_FEW, _MANY))
    except snnconv.ConfigurationError as refusal:
        assert is_refused(refusal)
        return
    if any(population.tables is not None for population in few.populations.values()):
        return
    inputs = specimen.calibrator.samples.fitted[0]
    coarse, fine = (_error(network, inputs) for network in (few, many))
    assert fine <= max(coarse / 4, 0.01), f"an error of {coarse:.3g} in {_FEW} steps, {fine:.3g} in {_MANY}"


def _error(network: SpikingNetwork, inputs: tuple[Tensor, ...]) -> float:
    """Root of the mean squared error of the output, relative to that of the original's output."""
    outputs = (network(*inputs), network.reference(*inputs))
    found, expected = (torch.cat([tensor.flatten() for tensor in tree_leaves(output)]) for output in outputs)
    return float((found - expected).norm() / expected.norm().clamp(min=1e-9))
