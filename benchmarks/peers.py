"""Other conversion libraries on a given network: SpikingJelly 2.0 and sinabs 3.1.

Both run in the mode that is the fastest of those they document on a CPU (single step, or several steps a
call), tried on one batch. Both have an analog output layer whose outputs are summed over the steps. sinabs'
neurons may emit several spikes per step, so compare at equal spikes too.

Networks must have their activations as `nn.ReLU` modules, one per use: see `benchmarks.networks`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.peer_imports import PeerMissing as PeerMissing
from benchmarks.simulation import PeerResult as PeerResult
from benchmarks.simulation import SpikingModel, fastest_call, simulate
from benchmarks.sinabs_peer import SINABS_DEFAULT as SINABS_DEFAULT
from benchmarks.sinabs_peer import SINABS_NORMALISED as SINABS_NORMALISED
from benchmarks.sinabs_peer import SINABS_RATE as SINABS_RATE
from benchmarks.sinabs_peer import SinabsModel
from benchmarks.sinabs_peer import SinabsSettings as SinabsSettings
from benchmarks.spikingjelly_peer import SPIKINGJELLY_BEST as SPIKINGJELLY_BEST
from benchmarks.spikingjelly_peer import SPIKINGJELLY_DEFAULT as SPIKINGJELLY_DEFAULT
from benchmarks.spikingjelly_peer import SpikingJellyModel
from benchmarks.spikingjelly_peer import SpikingJellySettings as SpikingJellySettings

CALL_CHOICES = (1, 4)
"""Steps per call that are tried; 1 is single-step mode. Longer calls were slower at every batch size of 50 or more."""


def run_spikingjelly(
    network: nn.Module,
    calibration: Tensor,
    images: Tensor,
    labels: Tensor,
    steps: Sequence[int],
    *,
    settings: SpikingJellySettings = SPIKINGJELLY_BEST,
    batch_size: int = 50,
    steps_per_call: int | None = None,
) -> PeerResult:
    """Convert ``network`` by SpikingJelly and simulate it once for ``max(steps)`` steps.

    Args:
        network: modules only, in evaluation mode; it is copied.
        calibration: images ``[N, ...]`` that scales are read from.
        images: test images ``[N, ...]``.
        labels: int64 ``[N]``.
        steps: the numbers of steps of interest.
        steps_per_call: None tries `CALL_CHOICES` and takes the fastest.

    Raises:
        PeerMissing: SpikingJelly is not installed.
    """
    model = SpikingJellyModel(network, calibration, settings)
    return _run(model, network, images, labels, steps, batch_size, steps_per_call)


def run_sinabs(
    network: nn.Module,
    calibration: Tensor,
    images: Tensor,
    labels: Tensor,
    steps: Sequence[int],
    *,
    settings: SinabsSettings = SINABS_DEFAULT,
    batch_size: int = 50,
    steps_per_call: int | None = None,
) -> PeerResult:
    """Convert ``network`` by sinabs and simulate it once for ``max(steps)`` steps.

    Arguments as for `run_spikingjelly`. sinabs reads ``calibration`` only where ``settings`` scale the
    activations.

    Raises:
        PeerMissing: sinabs is not installed.
    """
    model = SinabsModel(network, calibration, settings)
    return _run(model, network, images, labels, steps, batch_size, steps_per_call)


def _run(
    model: SpikingModel,
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    steps: Sequence[int],
    batch_size: int,
    steps_per_call: int | None,
) -> PeerResult:
    if not model.neurons:
        raise ValueError(
            f"{model.label} made no spiking layer of {type(network).__name__}: "
            "it converts nn.ReLU modules only, so give it the module form of the network"
        )
    if steps_per_call is None:
        steps_per_call = fastest_call(model, images[:batch_size], CALL_CHOICES)
    return simulate(model, network, images, labels, steps, batch_size=batch_size, steps_per_call=steps_per_call)
