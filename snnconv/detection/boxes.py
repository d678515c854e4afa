"""Boxes around objects: how much two overlap, which of many are kept, which of two sets belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from snnconv.errors import InputError


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in one image, by falling score.

    ``boxes [K, 4]`` are x1, y1, x2, y2 in pixels of the original image, ``scores`` and int64 ``classes`` are ``[K]``.
    Raises ``InputError`` for other shapes, scores that rise, and boxes that are not finite or end before they begin.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes.shape != (count, 4) or self.scores.shape != (count,) or self.classes.shape != (count,):
            shapes = ", ".join(str(list(part.shape)) for part in (self.boxes, self.scores, self.classes))
            raise InputError(f"boxes, scores and classes are {shapes}; detections need [K, 4], [K] and [K]")
        if self.classes.dtype != torch.int64:
            raise InputError(f"the classes of detections are {self.classes.dtype}; they must be int64")
        if not bool(self.boxes.isfinite().all() and self.scores.isfinite().all()):
            raise InputError("detections hold NaN or infinite values; drop those boxes")
        if bool((self.boxes[:, 2:] < self.boxes[:, :2]).any()):
            raise InputError("a detection ends before it begins; boxes are x1, y1, x2, y2")
        if bool((self.scores[1:] > self.scores[:-1]).any()):
            raise InputError("the scores of detections rise; sort boxes, scores and classes by falling score")

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> Detections:
        """Those with more than ``score``."""
        count = int((self.scores > score).sum())
        return Detections(self.boxes[:count], self.scores[:count], self.classes[:count])


def corners(boxes: Tensor) -> Tensor:
    """Boxes ``[..., 4]`` given as centre x, centre y, width and height as x1, y1, x2, y2."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], -1)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every box in ``a [K, 4]`` with every one in ``b [M, 4]``, ``[K, M]``.

    Boxes are x1, y1, x2, y2. Boxes that do not meet, and boxes without area, have 0.
    """
    corner = torch.maximum(a[:, None, :2], b[None, :, :2])
    extent = (torch.minimum(a[:, None, 2:], b[None, :, 2:]) - corner).clamp_(min=0)
    shared = extent[..., 0] * extent[..., 1]
    union = _area(a)[:, None] + _area(b)[None] - shared
    return torch.where(shared > 0, shared / union, 0.0)


def suppress(
    boxes: Tensor, scores: Tensor, *, score_threshold: float, iou_threshold: float = 0.45, most: int = 300
) -> Detections:
    """Non-maximum suppression, class by class: a box goes if a better one of its class overlaps it.

    ``boxes [K, 4]`` are x1, y1, x2, y2 in pixels, ``scores [K, C]`` hold objectness times class probability; what is
    above ``score_threshold`` takes part, so that a box may be found for several classes. Two boxes overlap if their
    intersection over union exceeds ``iou_threshold``. The ``most`` best are returned, on the CPU. Among equal scores
    the earlier box goes first, then the lower class. A detector whose exponentials overflow yields boxes that are not
    finite: these are dropped, as are boxes without area and scores that are not finite. Raises ``InputError`` for
    other shapes.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.ndim != 2 or len(scores) != len(boxes):
        raise InputError(f"boxes {list(boxes.shape)}, scores {list(scores.shape)}; give boxes [K, 4], scores [K, C]")
    boxes, scores = boxes.detach().cpu(), scores.detach().cpu()
    usable = boxes.isfinite().all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    candidates = (scores > score_threshold) & scores.isfinite() & usable[:, None]
    some = candidates.any(1).nonzero()[:, 0]
    boxes, scores, candidates = boxes[some], scores[some], candidates[some]
    # Overlaps are those of double precision whatever precision the detector computes in.
    exact = boxes.double()

    box, label = candidates.nonzero(as_tuple=True)
    order = scores[box, label].argsort(descending=True, stable=True)
    box, label = box[order], label[order]
    alive = np.ones((scores.shape[1], len(boxes)), dtype=np.bool_)
    apart: dict[int, npt.NDArray[np.bool_]] = {}
    kept: list[int] = []
    # Classes do not affect each other, so one walk down the scores of all classes may end at the best ``most``.
    for position, (i, c) in enumerate(zip(box.tolist(), label.tolist(), strict=True)):
        if len(kept) == most:
            break
        if alive[c, i]:
            kept.append(position)
            if i not in apart:
                apart[i] = (iou(exact[i : i + 1], exact)[0] <= iou_threshold).numpy()
            alive[c] &= apart[i]
    box, label = box[kept], label[kept]
    return Detections(boxes[box], scores[box, label], label)


def match(a: Detections, b: Detections, iou_threshold: float) -> list[tuple[int, int]]:
    """Pairs of positions in ``a`` and ``b`` that are one object: same class, overlapping by ``iou_threshold`` or more.

    Every detection is in at most one pair. Pairs are formed, and returned, by falling intersection over union; among
    equals the earlier in ``a`` goes first, then the earlier in ``b``.
    """
    overlap = iou(a.boxes, b.boxes)
    left, right = ((overlap >= iou_threshold) & (a.classes[:, None] == b.classes)).nonzero(as_tuple=True)
    order = overlap[left, right].argsort(descending=True, stable=True)
    pairs: list[tuple[int, int]] = []
    taken_left: set[int] = set()
    taken_right: set[int] = set()
    for i, j in zip(left[order].tolist(), right[order].tolist(), strict=True):
        if i not in taken_left and j not in taken_right:
            pairs.append((i, j))
            taken_left.add(i)
            taken_right.add(j)
    return pairs


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
