"""Detection heads: what turns a map of real numbers into boxes and scores."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError, InputError

#: A box's width and height saturate at this many times the network's input, so that its area is finite in single
#: precision, in pixels as well. Once clipped to the image, such a box is the box it would have been.
_LARGEST_SIZE = 2.0**40
#: Where probabilities become logits, they are at least this and at most one minus this.
_LEAST_PROBABILITY = 1e-6
#: Where the lengths of anchors must lie, in pixels or cells.
_ANCHOR_RANGE = (1e-6, 1e6)


@dataclass(frozen=True)
class Head(ABC):
    """A grid of cells over the image, each of which predicts one box for every anchor.

    ``anchors`` are widths and heights that the network scales, ``classes`` the number of classes, ``stride`` the pixels
    of the network's input between two cells. Raises ``ConfigurationError`` where these are out of range.
    """

    anchors: tuple[tuple[float, float], ...]
    classes: int
    stride: int

    def __post_init__(self) -> None:
        lengths = [length for anchor in self.anchors for length in anchor]
        least, most = _ANCHOR_RANGE
        if not lengths or any(not least <= length <= most for length in lengths):
            raise ConfigurationError(f"anchors are {self.anchors}; give pairs of numbers from {least} to {most}")
        if min(self.classes, self.stride) < 1:
            raise ConfigurationError(f"classes are {self.classes}, the stride is {self.stride}; both must be 1 or more")

    @property
    def channels(self) -> int:
        """Channels of the head's map: x, y, width, height, objectness and the classes, for every anchor."""
        return len(self.anchors) * (5 + self.classes)

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes ``[N, h w A, 4]`` and scores ``[N, h w A, C]`` of a map ``raw [N, A (5 + C), h, w]``.

        A box is (centre x, centre y, width, height) in fractions of the network's input; a score is objectness times
        the probability of a class. Row by row, cell by cell, anchor by anchor. Widths and heights saturate at 2^40
        inputs, so everything returned is finite. Raises ``InputError`` for a map of another shape, or with NaN or
        infinite values.
        """
        if raw.dim() != 4 or raw.shape[1] != self.channels or not raw.is_floating_point():
            raise InputError(
                f"the map is {raw.dtype} {list(raw.shape)}; a head of {len(self.anchors)} anchors and {self.classes} "
                f"classes takes real numbers [N, {self.channels}, h, w]"
            )
        if not bool(torch.isfinite(raw).all()):
            raise InputError("the map holds NaN or infinite values; check the weights and the input of the network")
        raw = raw.to(torch.promote_types(raw.dtype, torch.float32))
        height, width = raw.shape[2:]
        cells = self.entries(raw)
        rows = torch.arange(height, dtype=raw.dtype, device=raw.device).view(height, 1, 1)
        columns = torch.arange(width, dtype=raw.dtype, device=raw.device).view(width, 1)
        centre = self._offset(self._inside(cells[..., :2]))
        anchors = torch.tensor(self.relative_anchors(height, width), dtype=raw.dtype, device=raw.device)
        size = (anchors * self._growth(cells[..., 2:4])).clamp(max=_LARGEST_SIZE)
        x, y = (centre[..., 0] + columns) / width, (centre[..., 1] + rows) / height
        boxes = torch.cat([x.unsqueeze(-1), y.unsqueeze(-1), size], -1)
        scores = self._inside(cells[..., 4:5]) * self._probabilities(cells[..., 5:])
        return boxes.flatten(1, 3), scores.flatten(1, 3)

    def entries(self, raw: Tensor) -> Tensor:
        """The numbers of every box, ``[N, h, w, A, 5 + C]``, of a map ``raw [N, A (5 + C), h, w]``."""
        height, width = raw.shape[2:]
        return raw.reshape(len(raw), len(self.anchors), 5 + self.classes, height, width).permute(0, 3, 4, 1, 2)

    def logits(self, values: Tensor) -> Tensor:
        """Objectness and classes as a loss takes them, of the entries from the fifth on."""
        return values

    def _inside(self, values: Tensor) -> Tensor:
        """Numbers of the map as numbers from 0 to 1: places in a cell, and objectness."""
        return values.sigmoid()

    def _growth(self, values: Tensor) -> Tensor:
        """How many times as wide and high as its anchor a box is."""
        return values.exp()

    def _offset(self, inside: Tensor) -> Tensor:
        """Where in its cell a box has its centre, from a sigmoid."""
        return inside

    @abstractmethod
    def relative_anchors(self, height: int, width: int) -> list[tuple[float, float]]:
        """The anchors in fractions of the network's input, for a map of ``height`` times ``width`` cells."""

    @abstractmethod
    def _probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities of the classes ``[..., C]``."""


@dataclass(frozen=True)
class YoloHead(Head):
    """A head of YOLOv3 and later: anchors in pixels of the network's input, classes that do not exclude each other.

    ``scale_x_y`` stretches the range of a box's centre about the middle of its cell, so that it reaches the border.
    ``activated`` maps come out of a sigmoid, as darknet's do with ``new_coords=1`` (scaled YOLOv4): their numbers s are
    the probabilities and places themselves, and a box is (2 s)^2 times its anchor.
    """

    scale_x_y: float = 1.0
    activated: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.scale_x_y) and self.scale_x_y > 0.0):
            raise ConfigurationError(f"scale_x_y is {self.scale_x_y}; it must be positive")

    def _offset(self, inside: Tensor) -> Tensor:
        return inside * self.scale_x_y - 0.5 * (self.scale_x_y - 1.0)

    def relative_anchors(self, height: int, width: int) -> list[tuple[float, float]]:
        return [(x / (width * self.stride), y / (height * self.stride)) for x, y in self.anchors]

    def logits(self, values: Tensor) -> Tensor:
        return values.logit(_LEAST_PROBABILITY) if self.activated else values

    def _inside(self, values: Tensor) -> Tensor:
        return values.clamp(0.0, 1.0) if self.activated else super()._inside(values)

    def _growth(self, values: Tensor) -> Tensor:
        return (2.0 * self._inside(values)) ** 2 if self.activated else super()._growth(values)

    def _probabilities(self, logits: Tensor) -> Tensor:
        return self._inside(logits)


@dataclass(frozen=True)
class RegionHead(Head):
    """The head of YOLOv2: anchors in cells of its map, and exactly one class for every box."""

    def relative_anchors(self, height: int, width: int) -> list[tuple[float, float]]:
        return [(x / width, y / height) for x, y in self.anchors]

    def _probabilities(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)
