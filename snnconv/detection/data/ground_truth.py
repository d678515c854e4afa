"""Pictures whose objects are known: what is true of each, and a set of them that reads one when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

import torch
from torch import Tensor

from snnconv.detection.data.images import image_size, read_image
from snnconv.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class Truth:
    """The objects of one image.

    ``boxes`` float32 ``[K, 4]`` are x1, y1, x2, y2 in pixels, ``classes`` int64 ``[K]``. Objects that are ``ignored``,
    bool ``[K]``, are neither to be found nor an error if found: crowds of COCO and difficult objects of VOC. Raises
    ``InputError`` for other shapes and types, and for boxes that are not finite or end before they begin.
    """

    boxes: Tensor
    classes: Tensor
    ignored: Tensor

    def __post_init__(self) -> None:
        count = len(self.classes)
        if self.boxes.shape != (count, 4) or self.classes.shape != (count,) or self.ignored.shape != (count,):
            shapes = ", ".join(str(list(part.shape)) for part in (self.boxes, self.classes, self.ignored))
            raise InputError(f"boxes, classes and ignored are {shapes}; the truth needs [K, 4], [K] and [K]")
        if self.classes.dtype != torch.int64 or self.ignored.dtype != torch.bool:
            raise InputError(f"classes are {self.classes.dtype}, ignored is {self.ignored.dtype}; give int64 and bool")
        if not bool(self.boxes.isfinite().all() and (self.boxes[:, 2:] >= self.boxes[:, :2]).all()):
            raise InputError("a true box is not finite or ends before it begins; boxes are x1, y1, x2, y2")


@dataclass(frozen=True)
class Box:
    """One object as its file tells it: x1, y1, x2, y2 and class."""

    corners: tuple[float, float, float, float]
    label: int
    ignored: bool = False


@dataclass(frozen=True)
class LabelledImage:
    """A file with a picture, and the boxes on it.

    ``size`` (height, width) is what the boxes' file says of the picture, and the boxes are in pixels; where it says
    nothing ``size`` is ``None``, and the boxes are in fractions of width and height.
    """

    path: Path
    boxes: tuple[Box, ...]
    size: tuple[int, int] | None

    def image(self) -> Image:
        """The picture; errors as for ``read_image``, and ``InputError`` if it has not the size that its boxes need."""
        image = read_image(self.path)
        found = (image.height, image.width)
        if self.size not in (None, found):
            raise InputError(f"{self.path} has height and width {found}, but its boxes are made for {self.size}")
        return image

    def truth(self) -> Truth:
        """The objects in pixels; for boxes in fractions this reads the picture's header, with errors as for it."""
        boxes = torch.tensor([box.corners for box in self.boxes], dtype=torch.float64).view(-1, 4)
        if self.size is None:
            height, width = image_size(self.path)
            boxes *= boxes.new_tensor([width, height, width, height])
        return Truth(
            boxes.float(),
            torch.tensor([box.label for box in self.boxes], dtype=torch.int64),
            torch.tensor([box.ignored for box in self.boxes], dtype=torch.bool),
        )


@dataclass(frozen=True)
class BoxDataset:
    """Labelled images, and the names of the classes; no picture is kept in memory. ``data[:100]`` are the first 100."""

    items: tuple[LabelledImage, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[LabelledImage]:
        return iter(self.items)

    @overload
    def __getitem__(self, position: int) -> LabelledImage: ...
    @overload
    def __getitem__(self, position: slice) -> BoxDataset: ...
    def __getitem__(self, position: int | slice) -> LabelledImage | BoxDataset:
        if isinstance(position, slice):
            return BoxDataset(self.items[position], self.names)
        return self.items[position]

    def truths(self) -> list[Truth]:
        """The objects of every image, in pixels."""
        return [item.truth() for item in self.items]
