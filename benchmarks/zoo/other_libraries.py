"""Networks of further libraries: MTCNN with its own weights, and vision models of transformers with random ones."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.nn.functional import interpolate

from benchmarks.zoo.peer_models import mtcnn, transformers
from benchmarks.zoo.subjects import CALIBRATION, Built, Subject, on_pictures, pictures
from benchmarks.zoo.vision_models import CLASSES, SIZE

_SMALL = {"num_labels": CLASSES}
#: Vision models of transformers: the class, the class of its configuration, and options that make it small.
TRANSFORMERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "resnet": (
        "ResNetForImageClassification",
        "ResNetConfig",
        {"embedding_size": 32, "hidden_sizes": [32, 64, 128, 256], "depths": [1, 1, 1, 1], "layer_type": "basic"},
    ),
    "regnet": (
        "RegNetForImageClassification",
        "RegNetConfig",
        {"hidden_sizes": [32, 64, 128, 256], "depths": [1, 1, 1, 1], "groups_width": 16, "layer_type": "x"},
    ),
    "mobilenet_v1": ("MobileNetV1ForImageClassification", "MobileNetV1Config", {"depth_multiplier": 0.25}),
    "mobilenet_v2": ("MobileNetV2ForImageClassification", "MobileNetV2Config", {"depth_multiplier": 0.35}),
    "convnext": (
        "ConvNextForImageClassification",
        "ConvNextConfig",
        {"hidden_sizes": [16, 32, 64, 128], "depths": [1, 1, 1, 1]},
    ),
    "vit": (
        "ViTForImageClassification",
        "ViTConfig",
        {
            "hidden_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "intermediate_size": 96,
            "image_size": SIZE,
        },
    ),
}


def transformers_subjects() -> list[Subject]:
    """Small models from their configurations; nothing is downloaded."""
    transformers()
    return [Subject("transformers", name, partial(_transformer, name)) for name in TRANSFORMERS]


def _transformer(name: str) -> Built:
    library = transformers()
    model, config, options = TRANSFORMERS[name]
    return on_pictures(getattr(library, model)(getattr(library, config)(**_SMALL, **options)), SIZE)


def mtcnn_subjects() -> list[Subject]:
    """The three networks of MTCNN, whose weights come with facenet-pytorch."""
    mtcnn()
    return [
        Subject("facenet_pytorch", name, partial(_mtcnn, name, size))
        for name, size in (("PNet", 48), ("RNet", 24), ("ONet", 48))
    ]


def _mtcnn(name: str, size: int) -> Built:
    model = getattr(mtcnn(), name)().eval()
    images = interpolate(pictures(96), size=(size, size), mode="area")
    centred = torch.clamp(images / 2, -1.0, 1.0)  # MTCNN takes pixels in [-1, 1]
    return Built(model, centred[:CALIBRATION], centred[CALIBRATION:])
