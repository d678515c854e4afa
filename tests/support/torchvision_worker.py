"""Measures torchvision models in a process of their own, where its missing compiled operators may be declared."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from benchmarks.zoo.peer_models import torchvision
from coding import Code, CodingPlan, Rate
from snnconv.calibration.assembly import Calibrator, assemble
from snnconv.calibration.options import Options
from snnconv.network import SpikingNetwork
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


#: The model that was measured last.
_KEPT: dict[tuple[str, Images], CalibratedModel] = {}


def errors_in_windows(name: str, images: Images, codes: Sequence[Code]) -> dict[str, Any]:
    """Convert a model with random weights to each of ``codes``; relative errors of its output."""
    found, few, wanted = _measured(name, images)
    errors = []
    for code in codes:
        network = _network(found, code, Options())
        errors.append(float((network(few) - wanted).norm() / wanted.norm()))
    return _figures(found, network, few, wanted, errors)


def errors_by_steps(name: str, images: Images, neuron: str, steps: Sequence[int]) -> dict[str, Any]:
    """Convert a model with random weights to rate code; relative errors of its output after ``steps`` steps."""
    found, few, wanted = _measured(name, images)
    network = _network(found, Rate(max(steps)), Options(percentile=100, neuron=neuron))
    recorder = OutputRecorder()
    # The simulator itself: counting the synapses of the largest models takes longer than running them.
    Clock(network, steps=None, stop=None, seed=0).run((few,), [recorder])
    outputs = recorder.result()
    errors = [float((outputs[step - 1] - wanted).norm() / wanted.norm()) for step in steps]
    return _figures(found, network, few, wanted, errors)


def _measured(name: str, images: Images) -> tuple[CalibratedModel, torch.Tensor, torch.Tensor]:
    warnings.simplefilter("error")
    # torch: copying an exported program rebuilds its tree specs
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
    found = _KEPT.get((name, images)) or _calibrated_model(name, images)
    _KEPT.clear()  # one at a time, whose tests follow each other
    _KEPT[name, images] = found
    few = found.images[: images.measured]
    with torch.no_grad():
        return found, few, found.model(few)


def _network(found: CalibratedModel, code: Code, options: Options) -> SpikingNetwork:
    plan = CodingPlan(code)
    return assemble(found.calibrator.calibrated(plan, options), plan, options)


def _figures(
    found: CalibratedModel, network: SpikingNetwork, few: torch.Tensor, wanted: torch.Tensor, errors: list[float]
) -> dict[str, Any]:
    return {
        "ok": found.calibrator.captured.report.ok,
        "populations": len(network.populations),
        "reference": float((network.reference(few) - wanted).norm() / wanted.norm()),
        "errors": errors,
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
