"""Pictures from files, as a network's input, and boxes back from it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snnconv.data.file_kinds import PICTURE, unreadable
from snnconv.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    from PIL.Image import Image

#: Formats that are decoded by the library itself; others start external programs.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
#: Endings of files of these formats, by which folders are searched.
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm")
#: The EXIF tag of a picture's orientation, and its values for pictures that lie on their side.
_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)


def read_image(path: str | os.PathLike[str]) -> Image:
    """The picture in a file, in RGB, turned as its EXIF data say.

    Reads JPEG, PNG, BMP, GIF (first frame), WebP, TIFF and PPM. Grey, palette and CMYK pictures are converted, 16-bit
    values divided by 257, transparent pixels laid over white. Raises ``InputError`` for a file that is missing or
    broken, holds something else, or has more pixels than ``PIL.Image.MAX_IMAGE_PIXELS`` (about 89 million), and
    ``ConfigurationError`` without pillow.
    """
    with _opened(Path(path)) as image:
        from PIL import ImageOps

        # A decoder reads no more than it needs for the header until here.
        image.load()
        return _rgb(ImageOps.exif_transpose(image))


def as_images(images: Sequence[Image | str | os.PathLike[str]]) -> list[Image]:
    """The pictures themselves, those that are named by a path read from their files, with errors as ``read_image``.

    Raises ``InputError`` where there is no picture, for one that stands alone, and for what is none.
    """
    picture = _pillow().Image
    if isinstance(images, (str, os.PathLike, picture)):
        raise InputError("a single picture was given; give a list of pictures")
    found: list[Image] = []
    for image in images:
        if isinstance(image, (str, os.PathLike)):
            image = read_image(image)
        elif not isinstance(image, picture):
            raise InputError(
                f"picture {len(found)} is a {type(image).__name__}; give pictures of pillow, or paths of files. "
                "What is a network's input already goes to outputs"
            )
        found.append(image)
    if not found:
        raise InputError("there is no picture; give at least one")
    return found


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Height and width of the picture that ``read_image`` returns, from the file's header; errors as there."""
    with _opened(Path(path)) as image:
        width, height = image.size
        return (width, height) if image.getexif().get(_ORIENTATION) in _LYING else (height, width)


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the input of a network, and boxes on that input become boxes on the picture.

    ``size`` is the network's (height, width) in pixels. With ``letterbox`` a picture keeps its aspect ratio, lies in
    the middle, and grey of 0.5 fills the rest; otherwise it is stretched. Raises ``ConfigurationError`` for a size
    below one pixel.
    """

    size: tuple[int, int]
    letterbox: bool = False

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise ConfigurationError(f"size is {self.size}; a network's input has a height and a width above 0")

    def to_tensor(self, image: Image) -> Tensor:
        """``[3, height, width]`` in float32 from 0 to 1, interpolated linearly between the corners' centres.

        Pixel x of the input lies at x (W - 1) / (w - 1) of a picture W wide: the resize of darknet, which does not
        average when it shrinks.
        """
        pixels = torch.from_numpy(np.array(_rgb(image))).permute(2, 0, 1).float().div_(255.0)
        (top, left), (height, width) = self._placed((pixels.shape[1], pixels.shape[2]))
        canvas = torch.full((3, *self.size), 0.5, dtype=torch.float32)
        canvas[:, top : top + height, left : left + width] = _resized(pixels, height, width)
        return canvas

    def to_original(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Boxes on a picture of ``size`` (height, width): x1, y1, x2, y2 in its pixels, clipped to it.

        ``boxes [..., 4]`` are centre x, centre y, width and height in fractions of the network's input. A box that is
        not finite becomes NaN, which ``suppress`` drops.
        """
        (top, left), (height, width) = self._placed(size)
        offset = boxes.new_tensor([left, top])
        scale = boxes.new_tensor([size[1] / width, size[0] / height])
        limit = boxes.new_tensor([size[1], size[0]])
        whole = boxes.new_tensor([self.size[1], self.size[0]])
        centre, half = boxes[..., :2], boxes[..., 2:] / 2
        corners = [((corner * whole - offset) * scale) for corner in (centre - half, centre + half)]
        clipped = torch.cat([torch.minimum(corner.clamp(min=0), limit) for corner in corners], -1)
        return torch.where(boxes.isfinite().all(-1, keepdim=True), clipped, torch.nan)

    def to_input(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Boxes on the network's input, in the form that ``to_original`` takes, not clipped.

        ``boxes [..., 4]`` are x1, y1, x2, y2 in pixels of a picture of ``size`` (height, width).
        """
        (top, left), (height, width) = self._placed(size)
        offset = boxes.new_tensor([left, top])
        scale = boxes.new_tensor([width / size[1], height / size[0]])
        whole = boxes.new_tensor([self.size[1], self.size[0]])
        first, last = ((corner * scale + offset) / whole for corner in (boxes[..., :2], boxes[..., 2:]))
        return torch.cat([(first + last) / 2, last - first], -1)

    def _placed(self, original: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Top left corner, and height and width, of the picture on the network's input."""
        if not self.letterbox:
            return (0, 0), self.size
        (height, width), (rows, columns) = self.size, original
        if width * rows < height * columns:
            height = max(1, rows * width // columns)
        else:
            width = max(1, columns * height // rows)
        return ((self.size[0] - height) // 2, (self.size[1] - width) // 2), (height, width)


def _resized(pixels: Tensor, height: int, width: int) -> Tensor:
    # One pixel has no corners between which to interpolate; darknet takes the last.
    pixels = pixels[:, -1:] if height == 1 else pixels
    pixels = pixels[:, :, -1:] if width == 1 else pixels
    return functional.interpolate(pixels[None], (height, width), mode="bilinear", align_corners=True)[0]


def _rgb(image: Image) -> Image:
    from PIL import Image as pillow

    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InputError("its integers exceed 16 bits; save it with 8 bits per channel")
        image = pillow.fromarray(np.rint(values / 257.0).astype(np.uint8))
    if image.mode == "F":
        raise InputError("it holds floating-point values; save it with 8 bits per channel")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return pillow.alpha_composite(pillow.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


@contextmanager
def _opened(file: Path) -> Iterator[Image]:
    """The picture in a file; whatever happens to it inside the context is told as an error of the file."""
    pillow = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(file, formats=_FORMATS) as image:
                yield image
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError) as error:
        limit = pillow.MAX_IMAGE_PIXELS
        raise InputError(f"{file} has more than {limit} pixels; scale it down, or raise the limit of pillow") from error
    except pillow.UnidentifiedImageError as error:
        raise InputError(unreadable(file, PICTURE, f"it has none of the formats {', '.join(_FORMATS)}")) from error
    except Exception as error:
        # What decoders raise on a broken file is not limited to a few classes.
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{file} cannot be read as a picture: {reason}") from error


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigurationError("pictures need pillow: pip install 'snnconv[detection]'") from error
    return Image
