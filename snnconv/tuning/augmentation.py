"""Random moves and mirrorings of images that leave their class recognisable."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from snnconv.errors import ConfigurationError, InputError


@dataclass(frozen=True)
class ShiftAndFlip:
    """Moves every image by up to ``shift`` pixels along both axes, and mirrors it with probability ``flip``.

    What comes into view repeats the image's border, so that any normalisation of pixels will do. Draws from torch's
    own generator. Raises ``ConfigurationError`` for a negative shift or a probability outside 0 to 1.
    """

    shift: int = 4
    flip: float = 0.5

    def __post_init__(self) -> None:
        if self.shift < 0 or not 0.0 <= self.flip <= 1.0:
            raise ConfigurationError(
                f"shift is {self.shift}, flip is {self.flip}: the first must be 0 or more, the second from 0 to 1"
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Changed ``images``, ``[N, C, H, W]``."""
        if images.dim() != 4:
            raise InputError(f"ShiftAndFlip takes images [N, C, H, W], got shape {list(images.shape)}")
        count, _, height, width = images.shape
        mirrored = (torch.rand(count, dtype=torch.float32) < self.flip).to(images.device)
        images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)
        larger = pad(images, [self.shift] * 4, mode="replicate")
        corners = torch.randint(0, 2 * self.shift + 1, (count, 2)).tolist()
        return torch.stack(
            [
                image[:, top : top + height, left : left + width]
                for image, (top, left) in zip(larger, corners, strict=True)
            ]
        )
