"""The libraries that the zoo takes its models from."""

from __future__ import annotations

from types import ModuleType

import torch

from benchmarks.peer_imports import import_peer

_DECLARED: list[torch.library.Library] = []


def torchvision() -> ModuleType:
    """torchvision; beside a torch for CPUs its compiled operators are missing and are declared first."""
    if not _DECLARED and not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        _DECLARED.append(library)
    return import_peer("torchvision")


def timm() -> ModuleType:
    """timm, which imports torchvision."""
    torchvision()
    return import_peer("timm")


def transformers() -> ModuleType:
    """transformers, which imports torchvision."""
    torchvision()
    return import_peer("transformers")


def mtcnn() -> ModuleType:
    """The networks of facenet-pytorch, which imports torchvision."""
    torchvision()
    return import_peer("facenet_pytorch.models.mtcnn")
