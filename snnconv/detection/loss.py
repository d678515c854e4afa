"""The loss of a detector: how far the boxes that its heads predict are from the objects of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from snnconv.detection.boxes import corners, iou
from snnconv.detection.heads import Head, RegionHead
from snnconv.detection.samples import Objects

#: A prediction that overlaps an object by more is no error, even if another one is to find it.
IGNORE_OVERLAP = 0.6
#: What the error of a box counts beside those of objectness and class.
BOX_WEIGHT = 2.0
#: Areas, in those of the input, are divided by at least this; its square is still a number in single precision.
_LEAST_AREA = 1e-12


@dataclass(frozen=True, eq=False)
class Loss:
    """The parts of a loss, each a sum over a batch divided by its number of objects to be found."""

    boxes: Tensor
    objectness: Tensor
    classes: Tensor

    @property
    def total(self) -> Tensor:
        """What training makes small."""
        return BOX_WEIGHT * self.boxes + self.objectness + self.classes


def detection_loss(maps: Sequence[Tensor], heads: Sequence[Head], objects: Objects) -> Loss:
    """The loss of ``maps``, each ``[N, A (5 + C), h, w]``, one for every head, on a batch with ``objects``.

    Every object that is not ignored is to be found by one prediction, see ``assign``. It pays one minus the generalized
    intersection over union of its box with the object's (Rezatofighi et al. 2019, eq. 3), and the cross-entropy of its
    class: of each class on its own in a ``YoloHead``, of all together in a ``RegionHead``. All predictions pay the
    binary cross-entropy of their objectness, except those that need not find an object but overlap one by more than
    ``IGNORE_OVERLAP``, or have their centre in an ignored one (Redmon and Farhadi 2018, section 2.1). Errors as for
    ``Head.decode``.
    """
    found = max(1, int((~objects.ignored).sum()))
    zero = maps[0].new_zeros(())
    boxes, objectness, classes = zero, zero, zero
    grids = [(values.shape[2], values.shape[3]) for values in maps]
    for values, head, (rows, predictions) in zip(maps, heads, assign(heads, grids, objects), strict=True):
        decoded, _ = head.decode(values)
        # In the order of decoded boxes: row by row, cell by cell, anchor by anchor.
        logits = head.logits(head.entries(values)[..., 4:].flatten(1, 3))
        own = objects.chosen(rows)
        boxes = boxes + (1.0 - _generalized_iou(decoded[own.images, predictions], own.boxes)).sum()
        classes = classes + _class_loss(head, logits[own.images, predictions, 1:], own.classes)
        wanted = torch.zeros_like(logits[..., 0])
        wanted[own.images, predictions] = 1.0
        counted = (wanted > 0.0) | ~_excused(decoded.detach(), objects)
        errors = functional.binary_cross_entropy_with_logits(logits[..., 0], wanted, reduction="none")
        objectness = objectness + (errors * counted).sum()
    return Loss(boxes / found, objectness / found, classes / found)


def assign(heads: Sequence[Head], grids: Sequence[tuple[int, int]], objects: Objects) -> list[tuple[Tensor, Tensor]]:
    """For every head, rows of ``objects`` and the predictions, counted as decoded, that are to find them.

    That is the prediction of the cell with the object's centre and of the anchor, of all heads, whose shape overlaps
    the object's most; the first of equals. Objects of one cell and anchor share a prediction. ``grids`` are the heights
    and widths of the heads' maps. Ignored objects are left out.
    """
    boxes = objects.boxes
    anchors = [boxes.new_tensor(head.relative_anchors(*grid)) for head, grid in zip(heads, grids, strict=True)]
    shapes = torch.cat(anchors)
    shared = torch.minimum(boxes[:, None, 2:], shapes).prod(2)
    overlap = shared / (boxes[:, 2:].prod(1)[:, None] + shapes.prod(1) - shared)
    best = overlap.argmax(1)
    found = []
    start = 0
    for (height, width), own in zip(grids, anchors, strict=True):
        mine = (best >= start) & (best < start + len(own)) & ~objects.ignored
        rows = mine.nonzero()[:, 0]
        column = (boxes[rows, 0] * width).long().clamp(0, width - 1)
        row = (boxes[rows, 1] * height).long().clamp(0, height - 1)
        found.append((rows, (row * width + column) * len(own) + best[rows] - start))
        start += len(own)
    return found


def _class_loss(head: Head, logits: Tensor, classes: Tensor) -> Tensor:
    if isinstance(head, RegionHead):
        return functional.cross_entropy(logits, classes, reduction="sum")
    wanted = functional.one_hot(classes, head.classes).to(logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")


def _excused(decoded: Tensor, objects: Objects) -> Tensor:
    """Predictions ``[N, P]`` that overlap an object, or lie in an ignored one, of boxes ``decoded [N, P, 4]``."""
    excused = torch.zeros(decoded.shape[:2], dtype=torch.bool, device=decoded.device)
    found, true = corners(decoded), corners(objects.boxes)
    # Image by image: a batch's predictions times its objects would not fit into memory.
    for image in sorted(set(objects.images.tolist())):
        mine = objects.images == image
        ignored = true[mine & objects.ignored]
        centre = decoded[image, :, None, :2]
        inside = (centre >= ignored[:, :2]) & (centre <= ignored[:, 2:])
        near = iou(found[image], true[mine]) > IGNORE_OVERLAP
        excused[image] = near.any(1) | inside.all(2).any(1)
    return excused


def _generalized_iou(a: Tensor, b: Tensor) -> Tensor:
    """Of every box in ``a [K, 4]`` with its counterpart in ``b``, from -1 to 1; boxes are centres and sizes."""
    a, b = corners(a), corners(b)
    shared = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    return shared / union.clamp(min=_LEAST_AREA) - (hull - union) / hull.clamp(min=_LEAST_AREA)
