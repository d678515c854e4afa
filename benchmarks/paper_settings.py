"""The settings of the papers that this library follows, each as the call that reproduces it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from torch.optim import Adam
from torch.optim.lr_scheduler import StepLR

from coding import TTFS, Burst, Concurrent, FewSpikeNeuron, OneSpike, Phase, Pipeline, PoissonInput, Rate
from neurons import DoubleExponential
from snnconv.learning import LatencyEncoder, LatencyLoss


@dataclass(frozen=True)
class PaperSetting:
    """A row: which paper, in which of its variants, the options of convert(), and on which network it is measured.

    Attributes:
        paper: First authors and year.
        variant: What of the paper it is.
        options: All that convert() takes beside the model and the calibration data.
        network: What it is measured on here.
        differs: What the paper has otherwise, or leaves open.
    """

    paper: str
    variant: str
    options: Mapping[str, Any]
    network: Literal["ResNet-20", "Yolo-Fastest"] = "ResNet-20"
    differs: str = ""

    @property
    def call(self) -> str:
        """The call, as a user writes it."""
        given = ", ".join(f"{name}={_text(value)}" for name, value in self.options.items())
        return f"convert(model, calibration, {given})"


@dataclass(frozen=True)
class LearningSetting:
    """A row of a network that learns from spikes: its sizes, how its input is encoded, and how it is trained."""

    paper: str
    variant: str
    sizes: tuple[int, ...]
    neuron: DoubleExponential
    encoder: LatencyEncoder
    options: Mapping[str, Any]
    differs: str
    network: Literal["digits"] = "digits"

    @property
    def call(self) -> str:
        """The calls, as a user writes them."""
        training = ", ".join(f"{name}={_text(value)}" for name, value in self.options.items())
        return (
            f"train(LayeredNetwork({list(self.sizes)}, neuron={_text(self.neuron)}, weight_offset=3.0), "
            f"EncodedSamples(images, labels, {_text(self.encoder)}), {training})"
        )


def _text(value: Any) -> str:
    """A value as a user writes it: all its parameters but those left open, a function with arguments filled in."""
    if isinstance(value, functools.partial):
        filled = ", ".join(f"{name}={each!r}" for name, each in value.keywords.items())
        return f"partial({value.func.__name__}, {filled})"
    if not is_dataclass(value):
        return repr(value)
    given = {each.name: getattr(value, each.name) for each in fields(value)}
    filled = ", ".join(f"{name}={each!r}" for name, each in given.items() if each not in (None, ()))
    return f"{type(value).__name__}({filled})"


def _hybrid(variant: str, steps: int, **options: Any) -> PaperSetting:
    """Burst and hybrid coding: streams from empty membranes, one scale per layer."""
    common = {"normalization": "layer", "percentile": 99.9, "initial_potential": 0.0, "schedule": Concurrent(steps)}
    return PaperSetting("Park et al. 2019 (burst)", variant, options | common, differs=_PERCENTILE)


def _t2fsnn(variant: str, differs: str = "", **options: Any) -> PaperSetting:
    """T2FSNN: the input fires too, one scale per layer, nothing is added to the thresholds or the biases."""
    common = {"normalization": "layer", "percentile": 99.9, "bias_correction": False}
    return PaperSetting("Park et al. 2020 (T2FSNN)", variant, options | common, differs=differs)


def _spiking_yolo(variant: str, normalization: str, **decoding: str) -> PaperSetting:
    options = {
        "coding": Rate(),
        "normalization": normalization,
        "percentile": 99.9,
        "negative": "imbalanced",
        "initial_potential": 0.0,
        "schedule": Concurrent(3500),
    } | decoding
    return PaperSetting("Kim et al. 2020 (Spiking-YOLO)", variant, options, "Yolo-Fastest", "up to 8,000 steps")


def _one_spike(variant: str, **options: Any) -> PaperSetting:
    common = {"input": Phase(8), "percentile": 100.0, "bias_correction": False}
    return PaperSetting("Hwang and Kung 2024 (One-Spike)", variant, options | common, differs="phases by network")


_PERCENTILE = "the percentile neuron by neuron, then the largest"

SETTINGS = (
    _hybrid("phase-burst", 1125, coding=Burst(threshold=0.125, gain=2.0), input=Phase(8)),
    _hybrid("real-burst", 1000, coding=Burst(threshold=0.4, gain=2.0), input="real"),
    _hybrid("phase-phase", 1500, coding=Phase(8, threshold=1.0), input=Phase(8)),
    _hybrid("rate-rate", 10_000, coding=Rate(), input=PoissonInput()),
    _spiking_yolo("channel-wise normalisation", "channel"),
    _spiking_yolo("layer-wise normalisation", "layer"),
    _spiking_yolo("channel-wise normalisation, spike counts", "channel", decoding="spike-count"),
    _t2fsnn("base", _PERCENTILE, coding=TTFS(80, tau=20.0), input=TTFS(80, tau=20.0)),
    _t2fsnn(
        "optimised, early firing",
        f"{_PERCENTILE}; the kernel of the input is optimised too",
        coding=TTFS(80, tau="sample-gradient"),
        input=TTFS(80, tau=20.0),
        schedule=Pipeline(stride=40),
    ),
    _one_spike("base 2, threshold shift", coding=OneSpike(16, base=2.0, rounding="arithmetic")),
    _one_spike("base manipulation", coding=OneSpike(16, base="fit", rounding="arithmetic")),
    _one_spike("base manipulation, twice the phases", coding=OneSpike(32, base="fit", rounding="arithmetic")),
    PaperSetting(
        "Stöckl and Maass 2021 (FS-neurons)",
        "ReLU",
        {"coding": FewSpikeNeuron(10), "normalization": "layer", "percentile": 100.0, "bias_correction": False},
        differs="the same largest value, 25, for all layers",
    ),
)

ANTLR = LearningSetting(
    "Kim et al. 2020 (ANTLR)",
    "first spikes",
    (64, 100, 10),
    DoubleExponential(0.95, 0.95),
    LatencyEncoder(60, 24),
    {
        "epochs": 20,
        "loss": LatencyLoss(1 / 3, silent_penalty=2.0),
        "optimizer": functools.partial(Adam, lr=3e-3),
        "scheduler": functools.partial(StepLR, step_size=15),
    },
    "784-800-10, DoubleExponential(0.99, 0.99), 300 steps, LatencyLoss(), Adam with 1e-3, a tenth every 10 epochs",
)
