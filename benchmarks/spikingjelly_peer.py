"""SpikingJelly 2.0: rate coding with soft-reset integrate-and-fire neurons.

The converter traces the network, fuses each convolution with its batch normalisation, observes the
activations of every `nn.ReLU` on calibration batches, and puts scaler - neuron - scaler in its place; weights
stay as they are. The output is analog; outputs are summed over the steps. Its state must be reset by hand
before each batch.

By default a max pool takes the maximum of spikes at each step, which is not the maximum of the rates.
``pre_spike_maxpool`` takes the maximum of the currents before the neuron instead. That is exact where the
current is constant, as after the first convolution; deeper, the maximum of currents that fluctuate from step to
step is too large on average, and more steps do not remove the error.
"""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.datasets import batches
from benchmarks.peer_imports import import_peer, peer_version


@dataclass(frozen=True)
class SpikingJellySettings:
    """Arguments of ``ann2snn.RateCodingRecipe``; these defaults are its best documented ones, not its own."""

    mode: str | float = "99.9%"
    """Scale of the activations: a percentile, ``"Max"``, or a fraction of the maximum."""
    channel_wise: bool = True
    half_threshold: bool = True
    """Start every membrane at half its threshold (channel-wise only)."""
    pre_spike_maxpool: bool = True
    """Pool before the neuron where a max pool follows an `nn.ReLU` (channel-wise only)."""
    calibration_batch: int = 100
    """Images per calibration batch, as in its examples: scales are a moving average over the batches."""

    def __str__(self) -> str:
        marks = [str(self.mode)]
        marks += ["channel-wise"] if self.channel_wise else ["layer-wise"]
        marks += ["half threshold"] if self.half_threshold else []
        marks += ["pool before spikes"] if self.pre_spike_maxpool else []
        return ", ".join(marks)


SPIKINGJELLY_BEST = SpikingJellySettings()
SPIKINGJELLY_DEFAULT = SpikingJellySettings(
    mode="Max", channel_wise=False, half_threshold=False, pre_spike_maxpool=False
)


class SpikingJellyModel:
    """A network converted by SpikingJelly, as a `benchmarks.simulation.SpikingModel`."""

    def __init__(
        self, network: nn.Module, calibration: Tensor, settings: SpikingJellySettings = SPIKINGJELLY_BEST
    ) -> None:
        ann2snn = import_peer("spikingjelly.activation_based.ann2snn")
        neuron = import_peer("spikingjelly.activation_based.neuron")
        self._functional = import_peer("spikingjelly.activation_based.functional")
        recipe = ann2snn.RateCodingRecipe(
            dataloader=list(batches(calibration, settings.calibration_batch)),
            mode=settings.mode,
            channel_wise=settings.channel_wise,
            half_threshold=settings.half_threshold,
            pre_spike_maxpool=settings.pre_spike_maxpool,
        )
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar cannot be switched off
            converted: nn.Module = ann2snn.Converter(recipe).convert(copy.deepcopy(network).eval())
        self._model = converted.eval()
        self._multi = False
        self._neurons = [m for m in self._model.modules() if isinstance(m, neuron.BaseNode)]
        self._label = f"SpikingJelly {peer_version('spikingjelly')} ({settings})"

    @property
    def label(self) -> str:
        return self._label

    @property
    def neurons(self) -> Sequence[nn.Module]:
        return self._neurons

    def reset(self) -> None:
        self._functional.reset_net(self._model)

    def advance(self, images: Tensor, steps: int) -> Tensor:
        multi = steps > 1
        if multi != self._multi:
            self._functional.set_step_mode(self._model, "m" if multi else "s")
            self._multi = multi
        if not multi:
            output: Tensor = self._model(images)
            return output.unsqueeze(0)
        outputs: Tensor = self._model(images.unsqueeze(0).expand(steps, *images.shape))
        return outputs

    def spikes(self, output: Tensor, steps: int) -> Tensor:
        return output.reshape(steps, -1).sum(1, dtype=torch.float64)
