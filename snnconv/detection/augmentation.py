"""Random changes of training pictures that leave their objects recognisable."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from snnconv.detection.samples import Objects
from snnconv.errors import ConfigurationError

#: An object is ignored where less than this part of it is left in the picture, or less than so many pixels.
_LEAST_VISIBLE, _LEAST_PIXELS = 0.25, 2.0


@dataclass(frozen=True)
class Augmentation:
    """How far a picture may be changed, every picture by other random amounts.

    ``flip`` is the probability to be mirrored left to right. ``zoom`` z magnifies by 1 / (1 + z) to 1 + z, ``shift``
    moves by up to this part of width and height, ``colour`` c multiplies each channel by 1 - c to 1 + c. Raises
    ``ConfigurationError`` for amounts outside 0 to 1, and for a ``colour`` of 1, which is black.
    """

    flip: float = 0.5
    zoom: float = 0.25
    shift: float = 0.1
    colour: float = 0.2

    def __post_init__(self) -> None:
        for name, amount in vars(self).items():
            if not 0.0 <= amount <= 1.0 or (name == "colour" and amount == 1.0):
                raise ConfigurationError(f"{name} is {amount}; it must be from 0 to 1, and a colour below 1")

    def __call__(self, images: Tensor, objects: Objects) -> tuple[Tensor, Objects]:
        """Changed ``images [N, C, h, w]`` and where their objects are now; draws from torch's own generator.

        What comes into view is grey of 0.5. Objects are clipped to the picture; those that have left it are not
        returned, those of which little is left are ignored.
        """
        count, channels, height, width = images.shape
        side = 1.0 - 2.0 * (torch.rand(count, dtype=torch.float32) < self.flip).float()
        scale = (1.0 + self.zoom) ** _signed(count)
        shift = self.shift * _signed(count, 2)
        gain = 1.0 + self.colour * _signed(count, channels, 1, 1)

        # A point at p of the old picture, measured from its middle, lies at scale p + shift of the new one.
        inverse = torch.zeros(count, 2, 3, dtype=torch.float32)
        inverse[:, 0, 0], inverse[:, 1, 1] = side / scale, 1.0 / scale
        inverse[:, 0, 2], inverse[:, 1, 2] = -2.0 * side * shift[:, 0] / scale, -2.0 * shift[:, 1] / scale
        places = functional.affine_grid(inverse, [count, channels, height, width], align_corners=False)
        changed = functional.grid_sample(images - 0.5, places, align_corners=False) + 0.5

        owner = objects.images
        factor = torch.stack([side, torch.ones(count, dtype=torch.float32)], 1)[owner] * scale[owner, None]
        centre = (objects.boxes[:, :2] - 0.5) * factor + 0.5 + shift[owner]
        boxes = torch.cat([centre, objects.boxes[:, 2:] * scale[owner, None]], 1)
        moved = Objects(owner, boxes, objects.classes, objects.ignored)
        return (changed * gain).clamp_(0.0, 1.0), _clipped(moved, images.new_tensor([width, height]))


def _signed(*shape: int) -> Tensor:
    return 2.0 * torch.rand(shape, dtype=torch.float32) - 1.0


def _clipped(objects: Objects, size: Tensor) -> Objects:
    """Objects in the picture, clipped to it; ``size`` is its width and height in pixels."""
    centre, extent = objects.boxes[:, :2], objects.boxes[:, 2:]
    first, last = (centre - extent / 2).clamp(0.0, 1.0), (centre + extent / 2).clamp(0.0, 1.0)
    left = last - first
    ignored = objects.ignored | (left.prod(1) < _LEAST_VISIBLE * extent.prod(1))
    ignored = ignored | (left * size < _LEAST_PIXELS).any(1)
    clipped = Objects(objects.images, torch.cat([(first + last) / 2, left], 1), objects.classes, ignored)
    return clipped.chosen((left > 0.0).all(1))
