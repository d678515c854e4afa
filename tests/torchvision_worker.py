"""Measures torchvision models in a process of their own, where its missing compiled operators may be declared."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from typing import Any

import torch
from torch import nn

import snnconv
from coding import Rate
from snnconv.simulators.clock import Clock
from snnconv.simulators.observers import OutputRecorder

_DECLARED: list[torch.library.Library] = []


def import_models() -> Any:
    """torchvision's models; beside a torch for CPUs its compiled operators are missing and are declared first."""
    if not _DECLARED and not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(library)
    return importlib.import_module("torchvision").models


def measure(name: str, size: int, statistics: bool, steps: tuple[int, ...]) -> dict[str, Any]:
    """Convert a model with random weights; relative errors of its output after ``steps`` steps, for one image."""
    models = import_models()
    warnings.simplefilter("error")
    # torch: copying an exported program rebuilds its tree specs
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
    torch.manual_seed(0)
    options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    model = getattr(models, name)(weights=None, num_classes=10, **options)
    if statistics:
        _set_statistics(model, size)
    model.eval()
    images = torch.randn(8, 3, size, size)
    network = snnconv.convert(model, images, coding=Rate(max(steps)))
    recorder = OutputRecorder()
    # The simulator itself: counting the synapses of the largest models takes longer than running them.
    Clock(network, steps=None, stop=None, seed=0).run((images[:1],), [recorder])
    with torch.no_grad():
        wanted = model(images[:1])
    outputs = recorder.result()
    return {
        "populations": len(network.populations),
        "activations": sum(len(list(m.children())) == 0 and "ReLU" in type(m).__name__ for m in model.modules()),
        "reference": float((network.reference(images[:1]) - wanted).norm() / wanted.norm()),
        "errors": [float((outputs[step - 1] - wanted).norm() / wanted.norm()) for step in steps],
    }


def _set_statistics(model: nn.Module, size: int) -> None:
    """Running statistics of the batch norms from two random batches, dropout aside."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
    model.train()
    with torch.no_grad():
        for _ in range(2):
            model(torch.randn(8, 3, size, size))
