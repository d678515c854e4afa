"""sinabs 3.1: `nn.ReLU` modules replaced by integrate-and-fire layers.

``from_model`` swaps modules and normalises nothing: as it stands, every neuron has threshold 1 in the units
of its layer, may emit several spikes per step, and clamps its membrane at -1. Its ``normalize_weights``
reaches top-level children only and scales biases in a way that changes the function of the network, so it
is not used. What a careful user can do instead, and ``percentile`` does here, is to write each `nn.ReLU` as
divide - ReLU - multiply with a calibrated scale before the conversion: the network's function stays the
same, and thresholds get the size of the activations.

Layers work on ``[N * T, ...]`` with time fastest, so every call is multi-step; ``steps`` of 1 is the single
step.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.datasets import batches
from benchmarks.peer_imports import import_peer, peer_version

_CALIBRATION_BATCH = 100


@dataclass(frozen=True)
class SinabsSettings:
    """How sinabs converts; the defaults are its own."""

    percentile: float | None = None
    """Scale each ReLU by this percentile of its activations before the conversion; None changes nothing."""
    single_spike: bool = False
    """At most one spike per step, as in the other rate-coded networks."""
    min_v_mem: float | None = -1.0
    """Lower bound of the membrane."""

    def __str__(self) -> str:
        marks = ["not normalised" if self.percentile is None else f"{self.percentile:g}%, layer-wise"]
        marks += ["single spike" if self.single_spike else "multi-spike"]
        marks += ["no lower bound" if self.min_v_mem is None else f"membrane >= {self.min_v_mem:g}"]
        return ", ".join(marks)


SINABS_DEFAULT = SinabsSettings()
SINABS_NORMALISED = SinabsSettings(percentile=99.9)
SINABS_RATE = SinabsSettings(percentile=99.9, single_spike=True, min_v_mem=None)


class SinabsModel:
    """A network converted by sinabs, as a `benchmarks.simulation.SpikingModel`."""

    def __init__(self, network: nn.Module, calibration: Tensor, settings: SinabsSettings = SINABS_DEFAULT) -> None:
        self._sinabs = import_peer("sinabs")
        layers = import_peer("sinabs.layers")
        activation = import_peer("sinabs.activation")
        prepared = copy.deepcopy(network).eval()
        if settings.percentile is not None:
            scale_activations(prepared, calibration, settings.percentile)
        converted = import_peer("sinabs.from_torch").from_model(
            prepared,
            num_timesteps=1,
            spike_fn=activation.SingleSpike if settings.single_spike else activation.MultiSpike,
            min_v_mem=settings.min_v_mem,
        )
        self._model: nn.Module = converted.spiking_model.eval()
        self._neurons = [m for m in self._model.modules() if isinstance(m, layers.StatefulLayer)]
        self._label = f"sinabs {peer_version('sinabs')} ({settings})"

    @property
    def label(self) -> str:
        return self._label

    @property
    def neurons(self) -> Sequence[nn.Module]:
        return self._neurons

    def reset(self) -> None:
        self._sinabs.reset_states(self._model)

    def advance(self, images: Tensor, steps: int) -> Tensor:
        for layer in self._neurons:
            layer.num_timesteps = steps
        outputs: Tensor = self._model(images.repeat_interleave(steps, 0) if steps > 1 else images)
        return outputs.reshape(-1, steps, *outputs.shape[1:]).transpose(0, 1)

    def spikes(self, output: Tensor, steps: int) -> Tensor:
        return output.reshape(-1, steps, output[0].numel()).sum((0, 2), dtype=torch.float64)


class Scale(nn.Module):
    """Multiplication by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def scale_activations(network: nn.Module, calibration: Tensor, percentile: float) -> None:
    """Write each `nn.ReLU` of ``network``, in place, as divide - ReLU - multiply, which is the same function.

    The scale is the mean over calibration batches of the percentile of all activations of that ReLU.
    """
    scales = _activation_scales(network, calibration, percentile / 100.0)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child in scales:
                scale = scales[child]
                setattr(parent, name, nn.Sequential(Scale(1.0 / scale), child, Scale(scale)))


def _activation_scales(network: nn.Module, calibration: Tensor, quantile: float) -> dict[nn.Module, float]:
    observed: dict[nn.Module, list[float]] = {m: [] for m in network.modules() if type(m) is nn.ReLU}

    def observe(module: nn.Module, _: object, output: Tensor) -> None:
        values = output.flatten()
        rank = max(1, round(quantile * values.numel()))
        observed[module].append(float(values.kthvalue(rank).values))

    hooks = [module.register_forward_hook(observe) for module in observed]
    try:
        with torch.no_grad():
            for batch in batches(calibration, _CALIBRATION_BATCH):
                network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    scales = {module: sum(values) / len(values) for module, values in observed.items() if values}
    silent = sum(not scale > 0 for scale in scales.values())
    if silent:
        raise ValueError(f"{silent} ReLU layers are silent at quantile {quantile:g}: calibrate with more images")
    return scales
