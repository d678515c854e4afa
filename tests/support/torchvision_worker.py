"""Measures torchvision models in a process of their own, where its missing compiled operators may be declared."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from benchmarks.zoo.peer_models import torchvision
from coding import CodingPlan, Rate
from snnconv.calibration.assembly import Calibrator, assemble
from snnconv.calibration.options import Options
from snnconv.simulators.clock import Clock
from snnconv.simulators.recorders import OutputRecorder


class Images(NamedTuple):
    """How large random images are, in pixels along an axis, and how many calibrate and are measured."""

    size: int
    calibrating: int
    measured: int


@dataclass(frozen=True)
class CalibratedModel:
    """A model with random weights, and random images on which it is calibrated; captured and observed once."""

    model: nn.Module
    images: torch.Tensor
    calibrator: Calibrator


#: Models that are measured with two kinds of neurons.
_KEPT: dict[tuple[str, Images], CalibratedModel] = {}


def measure(name: str, images: Images, neuron: str, steps: tuple[int, ...], keep: bool) -> dict[str, Any]:
    """Convert a model with random weights; relative errors of its output after ``steps`` steps.

    ``keep`` says that it will be measured again.
    """
    warnings.simplefilter("error")
    # torch: copying an exported program rebuilds its tree specs
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
    found = _KEPT.get((name, images)) or _calibrated_model(name, images)
    if keep:
        _KEPT[name, images] = found
    plan, options = CodingPlan(Rate(max(steps))), Options(percentile=100, neuron=neuron)
    network = assemble(found.calibrator.calibrated(plan, options), plan, options)
    recorder = OutputRecorder()
    few = found.images[: images.measured]
    # The simulator itself: counting the synapses of the largest models takes longer than running them.
    Clock(network, steps=None, stop=None, seed=0).run((few,), [recorder])
    with torch.no_grad():
        wanted = found.model(few)
    outputs = recorder.result()
    return {
        "ok": found.calibrator.captured.report.ok,
        "populations": len(network.populations),
        "reference": float((network.reference(few) - wanted).norm() / wanted.norm()),
        "errors": [float((outputs[step - 1] - wanted).norm() / wanted.norm()) for step in steps],
    }


def _calibrated_model(name: str, images: Images) -> CalibratedModel:
    models = torchvision().models
    torch.manual_seed(0)
    options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    model = getattr(models, name)(weights=None, num_classes=10, **options)
    _set_statistics(model, images.size)
    model.eval()
    drawn = _random_images(images.calibrating, images.size)
    return CalibratedModel(model, drawn, Calibrator(model, drawn, None))


def _random_images(count: int, size: int) -> torch.Tensor:
    """Smooth random images: of white noise a network with random weights sees hardly more than that it is noise."""
    coarse = torch.randn(count, 3, 4, 4)
    return nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")


def _set_statistics(model: nn.Module, size: int) -> None:
    """Running statistics of the batch norms from random images, all else as at inference."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            module.train()
    with torch.no_grad():
        for _ in range(4):
            model(_random_images(16, size))
