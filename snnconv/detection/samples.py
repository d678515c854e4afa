"""Batches of pictures and objects as a network in training takes them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnconv.detection.darknet import DarknetNetwork
from snnconv.detection.data.ground_truth import BoxDataset, Truth
from snnconv.detection.data.images import Preprocessing
from snnconv.errors import ConfigurationError, InputError

#: Labelled pictures: files, or images ``[N, 3, H, W]`` from 0 to 1 and what is true of each, in pixels.
LabelledPictures = BoxDataset | tuple[Tensor, Sequence[Truth]]


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects on a batch of network inputs.

    ``images`` int64 ``[K]`` are positions in the batch. ``boxes`` float32 ``[K, 4]`` are centre x, centre y, width and
    height in fractions of the input, ``classes`` int64 ``[K]``. Objects that are ``ignored``, bool ``[K]``, are neither
    to be found nor an error if found.
    """

    images: Tensor
    boxes: Tensor
    classes: Tensor
    ignored: Tensor

    def to(self, device: torch.device) -> Objects:
        """The same objects on ``device``."""
        return Objects(*(part.to(device) for part in (self.images, self.boxes, self.classes, self.ignored)))

    def chosen(self, rows: Tensor) -> Objects:
        """Those of the rows that a mask or positions choose."""
        return Objects(self.images[rows], self.boxes[rows], self.classes[rows], self.ignored[rows])


class Samples:
    """Labelled pictures as inputs of ``network``; files are read when their batch is asked for.

    ``letterbox`` says how pictures from files become inputs, see ``Preprocessing``; others have the input's shape
    already. Raises ``InputError`` where there is no picture, for images of another shape or without values from 0 to
    1, and for classes that the network does not have, ``ConfigurationError`` for a network of another number of
    channels, or whose heads have different classes.
    """

    def __init__(self, data: LabelledPictures, network: DarknetNetwork, *, letterbox: bool | None) -> None:
        self.data = data
        channels, height, width = network.input_shape
        if channels != 3:
            raise ConfigurationError(f"the network takes {channels} channels; pictures have 3: set channels=3 in [net]")
        self.preprocessing = Preprocessing((height, width), network.letterbox if letterbox is None else letterbox)
        classes = network.heads[0].classes
        if any(head.classes != classes for head in network.heads):
            raise ConfigurationError("the heads of the network have different numbers of classes; give all the same")
        if isinstance(data, BoxDataset):
            self.count = len(data)
            if len(data.names) != classes:
                raise InputError(f"data has {len(data.names)} classes, the network {classes}; both need the same")
        else:
            images, truths = data
            self.count = len(truths)
            _check(images, truths, (3, height, width), classes)
        if not self.count:
            raise InputError("data holds no picture; give at least one")

    def __len__(self) -> int:
        return self.count

    def batch(self, positions: Sequence[int]) -> tuple[Tensor, Objects]:
        """Inputs ``[N, 3, h, w]`` and objects of the pictures at ``positions``; errors as for ``LabelledImage``."""
        images, truths, boxes = [], [], []
        for position in positions:
            if isinstance(self.data, BoxDataset):
                item = self.data[position]
                picture, truth = item.image(), item.truth()
                size = (picture.height, picture.width)
                images.append(self.preprocessing.to_tensor(picture))
            else:
                truth, size = self.data[1][position], self.preprocessing.size
                images.append(self.data[0][position].cpu())
            boxes.append(self.preprocessing.to_input(truth.boxes.cpu(), size))
            truths.append(truth)
        counts = torch.tensor([len(truth.classes) for truth in truths])
        objects = Objects(
            torch.arange(len(truths)).repeat_interleave(counts),
            torch.cat(boxes),
            torch.cat([truth.classes.cpu() for truth in truths]),
            torch.cat([truth.ignored.cpu() for truth in truths]),
        )
        return torch.stack(images), objects

    def digest(self) -> str:
        """Digest of the objects and of the images, or where these are in files of the files' names."""
        found = hashlib.blake2b(digest_size=16)
        found.update(repr(self.preprocessing).encode())
        if isinstance(self.data, BoxDataset):
            for item in self.data:
                found.update(f"{item.path.name!r} {item.boxes} {item.size}".encode())
        else:
            images, truths = self.data
            found.update(images.detach().cpu().contiguous().numpy().tobytes())
            for truth in truths:
                rows = zip(truth.boxes.tolist(), truth.classes.tolist(), truth.ignored.tolist(), strict=True)
                found.update(repr(list(rows)).encode())
        return found.hexdigest()


def _check(images: Tensor, truths: Sequence[Truth], shape: tuple[int, int, int], classes: int) -> None:
    if images.shape != (len(truths), *shape) or images.dtype != torch.float32:
        raise InputError(
            f"images are {images.dtype} {list(images.shape)}; {len(truths)} truths and a network for {list(shape)} "
            f"need torch.float32 {[len(truths), *shape]}"
        )
    if len(images) and not (float(images.min()) >= 0.0 and float(images.max()) <= 1.0):
        raise InputError("images hold values outside 0 to 1; divide pixels by 255")
    for position, truth in enumerate(truths):
        if len(truth.classes) and not 0 <= int(truth.classes.min()) <= int(truth.classes.max()) < classes:
            raise InputError(
                f"image {position} has objects of classes outside 0 to {classes - 1}; the network has no others"
            )
