"""The smallest variants of torchvision's models and of timm's modules, with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn

from benchmarks.zoo.peer_models import timm, torchvision
from benchmarks.zoo.subjects import Built, Subject, on_pictures
from benchmarks.zoo.timm_names import SMALLEST

#: Edge of the pictures in pixels, where a model leaves it free.
SIZE = 96
CLASSES = 100
#: torchvision's families: the smallest model of each.
_CLASSIFIERS = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnet18",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11",
    "vgg11_bn",
    "vit_b_32",
    "wide_resnet50_2",
)
#: Those that are measured with batch statistics of the pictures, too.
_ADAPTED = (
    "densenet121",
    "googlenet",
    "inception_v3",
    "mnasnet0_5",
    "mobilenet_v2",
    "regnet_x_400mf",
    "resnet18",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "vgg11_bn",
    "wide_resnet50_2",
)
_SEGMENTERS = ("deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large", "fcn_resnet50", "lraspp_mobilenet_v3_large")
#: Sizes of the torchvision models that fix them.
_FIXED = {"maxvit_t": 224, "vit_b_32": 224, "inception_v3": 128}


def torchvision_subjects() -> list[Subject]:
    """One of each family of classifiers, and the segmentation models."""
    torchvision()
    found = [Subject("torchvision", name, partial(_classifier, name)) for name in _CLASSIFIERS]
    found += [Subject("torchvision", f"{name}, adapted", partial(_classifier, name, True)) for name in _ADAPTED]
    return found + [Subject("torchvision", name, partial(_segmenter, name)) for name in _SEGMENTERS]


def _classifier(name: str, adapted: bool = False) -> Built:
    options: dict[str, Any] = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    if name == "maxvit_t":
        options["input_size"] = (224, 224)
    model = getattr(torchvision().models, name)(weights=None, num_classes=CLASSES, **options)
    return on_pictures(model, _FIXED.get(name, SIZE), adapted=adapted)


def _segmenter(name: str) -> Built:
    make = getattr(torchvision().models.segmentation, name)
    return on_pictures(make(weights=None, weights_backbone=None, num_classes=21), SIZE)


def timm_subjects() -> list[Subject]:
    """The smallest model of each module."""
    timm()
    return [Subject("timm", name, partial(_timm_model, name)) for name in SMALLEST]


def _timm_model(name: str) -> Built:
    wanted = timm().get_pretrained_cfg(name)
    size = (wanted.input_size[-1] if wanted.fixed_input_size else SIZE) if wanted else SIZE
    model = timm().create_model(name, num_classes=CLASSES)
    return on_pictures(model, size)


class Backbone(nn.Module):
    """A timm backbone that gives the feature maps of all its stages, as detectors use it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.body = timm().create_model(name, features_only=True)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps ``[N, C, H, W]``, the finest first."""
        return list(self.body(images))


def backbone_subjects() -> Iterator[Subject]:
    """Features-only backbones of timm."""
    for name in ("resnet10t.c3_in1k", "mobilenetv2_035", "hrnet_w18_small"):
        yield Subject("timm features", name, partial(_backbone, name))


def _backbone(name: str) -> Built:
    return on_pictures(Backbone(name), SIZE)
