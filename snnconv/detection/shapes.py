"""Pictures of shapes, drawn when they are asked for, and a small detector that has learnt to find them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from snnconv.detection.data.ground_truth import Truth
from snnconv.detection.detector import Detector, load_detector
from snnconv.errors import ConfigurationError
from snnconv.surroundings import own_surroundings

#: The classes of shapes, in the order of their numbers.
SHAPE_NAMES = ("circle", "square", "triangle")
#: Height and width of a picture.
SHAPES_SIZE = (64, 64)
#: The cfg of the detector.
SHAPES_CONFIG = Path(__file__).with_name("shapes.cfg")

_MOST_SHAPES = 4
#: Distance in pixels from the centre of a shape to its outermost points.
_RADII = (6.0, 16.0)
#: The part of a box that another of the picture may cover, and the places that are tried for a shape.
_OVERLAP, _TRIES = 0.2, 100
#: How far the colour of a shape is from both colours of the background, in its most different channel.
_CONTRAST = 0.35
_NOISE = 0.04
#: Pictures that are painted at a time, which bounds the memory.
_CHUNK = 256

#: Corners of each shape, on a unit circle; a circle has none.
_CORNERS = {"square": 4, "triangle": 3}


@own_surroundings()
def draw_shapes(count: int, seed: int) -> tuple[Tensor, list[Truth]]:
    """``count`` pictures, float32 ``[N, 3, 64, 64]`` from 0 to 1, and the objects of each; a seed fixes them.

    A picture has 1 to 4 circles, squares and triangles of one colour each, turned by any angle, whole, hardly
    overlapping, on a noisy gradient between two colours. Boxes are tight, in pixels. Raises ``ConfigurationError`` for
    a count below 1.
    """
    if count < 1:
        raise ConfigurationError(f"count is {count}; at least one picture can be drawn")
    generator = np.random.default_rng(seed)
    images = torch.empty(count, 3, *SHAPES_SIZE, dtype=torch.float32)
    truths = []
    for start in range(0, count, _CHUNK):
        part = images[start : start + _CHUNK]
        scenes = [_Scene(generator) for _ in range(len(part))]
        part.copy_(_painted(scenes, generator))
        truths += [scene.truth() for scene in scenes]
    return images, truths


@own_surroundings()
def load_shapes_detector() -> Detector:
    """The detector of ``shapes.cfg`` with the weights that ``snnconv train-detector`` gives it, in eval mode."""
    return load_detector(SHAPES_CONFIG, SHAPES_CONFIG.with_suffix(".weights"), SHAPE_NAMES)


class _Scene:
    """What is on one picture: colours of the background, and shapes in the order in which they are painted."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.ground = generator.random((2, 3))
        self.direction = generator.uniform(0.0, 2.0 * math.pi)
        self.labels: list[int] = []
        self.places: list[tuple[float, float, float, float]] = []  # centre x, centre y, radius, angle
        self.colours: list[np.ndarray] = []
        self.boxes = torch.empty(0, 4, dtype=torch.float32)
        for _ in range(int(generator.integers(1, _MOST_SHAPES + 1))):
            self._add(generator)

    def _add(self, generator: np.random.Generator) -> None:
        label = int(generator.integers(len(SHAPE_NAMES)))
        place, box = self._place(label, generator)
        for _ in range(_TRIES):
            if not self._covers(box):
                break
            place, box = self._place(label, generator)
        else:
            return  # the picture is full
        colour = generator.random(3)
        while (np.abs(self.ground - colour).max(1) < _CONTRAST).any():
            colour = generator.random(3)
        self.labels.append(label)
        self.places.append(place)
        self.colours.append(colour)
        self.boxes = torch.cat([self.boxes, box[None]])

    def _place(self, label: int, generator: np.random.Generator) -> tuple[tuple[float, float, float, float], Tensor]:
        radius, angle = generator.uniform(*_RADII), generator.uniform(0.0, 2.0 * math.pi)
        corners = _CORNERS.get(SHAPE_NAMES[label])
        if corners is None:
            x = y = np.array([-radius, radius])
        else:
            angles = angle + 2.0 * math.pi * np.arange(corners) / corners
            x, y = radius * np.cos(angles), radius * np.sin(angles)
        height, width = SHAPES_SIZE
        centre_x = generator.uniform(-x.min(), width - x.max())
        centre_y = generator.uniform(-y.min(), height - y.max())
        box = [centre_x + x.min(), centre_y + y.min(), centre_x + x.max(), centre_y + y.max()]
        return (centre_x, centre_y, radius, angle), torch.tensor(box, dtype=torch.float32)

    def _covers(self, box: Tensor) -> bool:
        shared = torch.minimum(box[2:], self.boxes[:, 2:]) - torch.maximum(box[:2], self.boxes[:, :2])
        smaller = torch.minimum((box[2:] - box[:2]).prod(), (self.boxes[:, 2:] - self.boxes[:, :2]).prod(1))
        return bool((shared.clamp(min=0).prod(1) > _OVERLAP * smaller).any())

    def truth(self) -> Truth:
        return Truth(self.boxes, torch.tensor(self.labels), torch.zeros(len(self.labels), dtype=torch.bool))


def _painted(scenes: list[_Scene], generator: np.random.Generator) -> Tensor:
    height, width = SHAPES_SIZE
    y, x = torch.meshgrid(*(torch.arange(size, dtype=torch.float32) + 0.5 for size in SHAPES_SIZE), indexing="ij")
    direction = torch.tensor([scene.direction for scene in scenes], dtype=torch.float32).view(-1, 1, 1)
    along = 0.5 + ((x / width - 0.5) * direction.cos() + (y / height - 0.5) * direction.sin()) / math.sqrt(2.0)
    ground = torch.tensor(np.stack([scene.ground for scene in scenes]), dtype=torch.float32)
    images = ground[:, 0, :, None, None].lerp(ground[:, 1, :, None, None], along[:, None])
    for layer in range(_MOST_SHAPES):
        shown = [number for number, scene in enumerate(scenes) if len(scene.labels) > layer]
        if shown:
            places = torch.tensor([scenes[number].places[layer] for number in shown], dtype=torch.float32)
            labels = [scenes[number].labels[layer] for number in shown]
            colours = np.stack([scenes[number].colours[layer] for number in shown])
            paint = torch.tensor(colours, dtype=torch.float32)[:, :, None, None]
            images[shown] = images[shown].lerp(paint, _coverage(x, y, places, labels)[:, None])
    noise = torch.from_numpy(generator.standard_normal(images.shape, dtype=np.float32))
    return (images + _NOISE * noise).clamp_(0.0, 1.0)


def _coverage(x: Tensor, y: Tensor, places: Tensor, labels: list[int]) -> Tensor:
    """How much of every pixel ``[h, w]`` each shape covers, ``[K, h, w]``: linear in the distance to its border."""
    centre_x, centre_y, radius, angle = (column.view(-1, 1, 1) for column in places.unbind(1))
    across, down = x - centre_x, y - centre_y
    inside = radius - (across**2 + down**2).sqrt()
    for number, name in enumerate(SHAPE_NAMES):
        corners = _CORNERS.get(name)
        rows = [position for position, label in enumerate(labels) if label == number]
        if corners is None or not rows:
            continue
        half = math.pi / corners
        # A polygon lies on the near side of each edge; the normal of an edge points between two corners.
        edges = [
            radius[rows] * math.cos(half)
            - across[rows] * (angle[rows] + (2 * edge + 1) * half).cos()
            - down[rows] * (angle[rows] + (2 * edge + 1) * half).sin()
            for edge in range(corners)
        ]
        inside[rows] = torch.stack(edges).amin(0)
    return (inside + 0.5).clamp_(0.0, 1.0)
