"""CIFAR-10, MNIST and ImageNet pictures as normalised float32 tensors.

The files are looked for in the directory that the environment variable ``SNNCONV_DATA`` names:

- ``mnist.npz`` with ``train_images``, ``train_labels``, ``test_images``, ``test_labels`` (uint8);
- ``cifar10/test.npz``, ``cifar10/train_0.npz``, ``cifar10/train_1.npz`` with ``webp`` (lossless WebP strips
  of 100 images, 32 pixels wide and 3,200 high, one after another), ``offsets`` (where each strip starts,
  and the end) and ``labels``;
- ``imagenet320.npz``: one picture of each of 320 ImageNet classes, ``webp`` (WebP pictures of 256 x 256, one after
  another), ``offsets`` and ``labels``.

Any prefix of CIFAR-10 whose length is a multiple of ten holds each class equally often.
"""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

DATA_VARIABLE = "SNNCONV_DATA"
_STRIP_IMAGES = 100


class DataError(RuntimeError):
    """A data file is missing or does not hold what it should."""


class LabelledImages(NamedTuple):
    """Images with their classes."""

    images: Tensor
    """float32 ``[N, C, H, W]``, normalised."""
    labels: Tensor
    """int64 ``[N]``."""


@dataclass(frozen=True)
class Normalization:
    """``(pixel / 255 - mean) / std`` per channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> Tensor:
        """Map uint8 ``[N, H, W, C]`` to float32 ``[N, C, H, W]``."""
        images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255.0
        mean = torch.tensor(self.mean).view(1, -1, 1, 1)
        std = torch.tensor(self.std).view(1, -1, 1, 1)
        return ((images - mean) / std).contiguous()


MNIST = Normalization((0.1307,), (0.3081,))
"""Mean and standard deviation of the training pixels."""
CIFAR10 = Normalization((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
"""Mean and standard deviation of the training pixels."""
RESNET20 = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""What the published CIFAR-10 ResNet-20 was trained with."""
IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""What networks on ImageNet are trained with."""
UNIT_1 = Normalization((0.0,), (1.0,))
"""One channel, pixels in [0, 1]."""


def batches(values: Tensor, size: int) -> Iterator[Tensor]:
    """Consecutive pieces of ``size`` rows, the last one shorter where it must be."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def data_file(name: str) -> Path:
    """The path of a data file.

    Raises:
        DataError: ``SNNCONV_DATA`` is unset, or there is no such file.
    """
    directory = os.environ.get(DATA_VARIABLE)
    if not directory:
        raise DataError(f"{DATA_VARIABLE} is not set: set it to the directory that holds {name}")
    path = Path(directory) / name
    if not path.is_file():
        raise DataError(f"no file {name} in {directory}: point {DATA_VARIABLE} at the directory that holds it")
    return path


def mnist_test(count: int | None = None, normalization: Normalization = MNIST) -> LabelledImages:
    """The first ``count`` MNIST test images (all 10,000 if None), ``[N, 1, 28, 28]``."""
    return _mnist("test", count, normalization)


def mnist_train(count: int | None = None, normalization: Normalization = MNIST) -> LabelledImages:
    """The first ``count`` MNIST training images (all 60,000 if None), ``[N, 1, 28, 28]``."""
    return _mnist("train", count, normalization)


def cifar10_test(count: int | None = None, normalization: Normalization = RESNET20) -> LabelledImages:
    """The first ``count`` CIFAR-10 test images (all 10,000 if None), ``[N, 3, 32, 32]``."""
    return _cifar10(("test.npz",), count, normalization)


def cifar10_train(count: int | None = None, normalization: Normalization = RESNET20) -> LabelledImages:
    """The first ``count`` CIFAR-10 training images (all 50,000 if None), ``[N, 3, 32, 32]``."""
    return _cifar10(("train_0.npz", "train_1.npz"), count, normalization)


def imagenet(count: int | None = None, normalization: Normalization = IMAGENET, start: int = 0) -> LabelledImages:
    """The centres of ``count`` ImageNet pictures from number ``start`` on (all if None), ``[N, 3, 224, 224]``."""
    _check_count(count)
    path = data_file("imagenet320.npz")
    with np.load(path, allow_pickle=False) as arrays:
        webp, offsets, labels = arrays["webp"], arrays["offsets"][start:], arrays["labels"][start:]
    wanted = len(labels) if count is None else count
    pixels = np.stack([_picture(webp[begin:end]) for begin, end in itertools.pairwise(offsets[: wanted + 1])])
    return _split(path.name, [pixels[:, 16:240, 16:240]], [labels], count, normalization)


def _mnist(part: str, count: int | None, normalization: Normalization) -> LabelledImages:
    _check_count(count)
    path = data_file("mnist.npz")
    with np.load(path, allow_pickle=False) as arrays:
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
    return _split(path.name, [images[..., None]], [labels], count, normalization)


def _cifar10(names: Sequence[str], count: int | None, normalization: Normalization) -> LabelledImages:
    _check_count(count)
    images: list[npt.NDArray[np.uint8]] = []
    labels: list[npt.NDArray[np.uint8]] = []
    missing = count
    for name in names:
        if missing is not None and missing <= 0:
            break
        with np.load(data_file(f"cifar10/{name}"), allow_pickle=False) as arrays:
            pixels = _decode(arrays["webp"], arrays["offsets"], missing)
            images.append(pixels)
            labels.append(arrays["labels"][: len(pixels)])
        missing = None if missing is None else missing - len(pixels)
    return _split("CIFAR-10", images, labels, count, normalization)


def _decode(webp: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], count: int | None) -> npt.NDArray[np.uint8]:
    """Decode the strips that hold the first ``count`` images to uint8 ``[N, 32, 32, 3]``."""
    strips = len(offsets) - 1 if count is None else min(len(offsets) - 1, -(-count // _STRIP_IMAGES))
    decoded = [_picture(webp[start:end]) for start, end in itertools.pairwise(offsets[: strips + 1])]
    return np.concatenate(decoded).reshape(-1, 32, 32, 3)


def _picture(encoded: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """One encoded picture as uint8 ``[H, W, 3]``."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError("decoding pictures needs pillow: run `pip install pillow`") from error
    with Image.open(io.BytesIO(encoded.tobytes())) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.uint8)


def _check_count(count: int | None) -> None:
    if count is not None and count <= 0:
        raise DataError(f"{count} images were asked for: ask for at least one, or None for all")


def _split(
    where: str,
    images: Sequence[npt.NDArray[np.uint8]],
    labels: Sequence[npt.NDArray[np.uint8]],
    count: int | None,
    normalization: Normalization,
) -> LabelledImages:
    held = sum(len(part) for part in labels)
    if count is not None and count > held:
        raise DataError(f"{where} holds {held} images, {count} were asked for: ask for 1 to {held}, or None for all")
    pixels = np.concatenate(images)[:count]
    classes = np.concatenate(labels)[:count].astype(np.int64)
    return LabelledImages(normalization(pixels), torch.from_numpy(classes))
