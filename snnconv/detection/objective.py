"""What an error of a detector's maps costs, for the search of codes: boxes and scores against the original's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconv.detection.boxes import Detections, corners, suppress
from snnconv.detection.data.ground_truth import Truth
from snnconv.detection.detector import decode_maps
from snnconv.detection.heads import Head
from snnconv.detection.precision import SCORE_THRESHOLD, mean_average_precision
from snnconv.errors import InputError

#: Detections of the original with a higher score are to be found again.
_CERTAIN = 0.2


@dataclass(frozen=True)
class DetectionJudge:
    """Judges the maps of ``heads``: the loss is what lacks to an average precision of 100 % at an overlap of 0.5.

    What is true is what the original finds with a score above 0.2, all classes together: there are no labels in
    calibration data, and a few dozen pictures hold too few objects for a mean over classes.
    """

    heads: tuple[Head, ...]

    def deviation(self, exact: Any, found: Any) -> Tensor:
        """Differences of scores, and of places and sizes relative to the box, as far as the box has a score."""
        boxes, scores = decode_maps(self.heads, exact)
        other_boxes, other_scores = decode_maps(self.heads, found)
        certainty = scores.amax(-1, keepdim=True)
        least = torch.finfo(boxes.dtype).tiny
        place = (other_boxes[..., :2] - boxes[..., :2]) / boxes[..., 2:].clamp(min=least)
        size = (other_boxes[..., 2:].clamp(min=least) / boxes[..., 2:].clamp(min=least)).log()
        return torch.cat([other_scores - scores, certainty * place, certainty * size], -1)

    def expected_loss(self, exact: Sequence[Any], found: Sequence[Any]) -> float:
        truths, detections = [], []
        for true, other in zip(exact, found, strict=True):
            truths += self._truths(true)
            detections += self._detections(other, SCORE_THRESHOLD)
        if not any(len(truth.classes) for truth in truths):
            raise InputError(
                f"the original finds nothing with a score above {_CERTAIN} in the calibration pictures held out, so "
                "no loss can be expected of other codes; give pictures with objects"
            )
        return 100.0 - mean_average_precision(detections, truths, 1).ap50

    def decisions(self, exact: Sequence[Any]) -> int:
        return sum(len(truth.classes) for each in exact for truth in self._truths(each))

    def _truths(self, exact: Any) -> list[Truth]:
        return [_as_truth(each) for each in self._detections(exact, _CERTAIN)]

    def _detections(self, outputs: Any, threshold: float) -> list[Detections]:
        boxes, scores = decode_maps(self.heads, outputs)
        inside = corners(boxes).clamp(0.0, 1.0)
        return [_one_class(suppress(b, s, score_threshold=threshold)) for b, s in zip(inside, scores, strict=True)]


def _one_class(found: Detections) -> Detections:
    """Classes as places: boxes of different classes never meet, and all count as one class."""
    aside = 2.0 * found.classes.to(found.boxes).unsqueeze(1)
    return Detections(found.boxes + aside, found.scores, torch.zeros_like(found.classes))


def _as_truth(found: Detections) -> Truth:
    return Truth(found.boxes.float(), found.classes, torch.zeros(len(found), dtype=torch.bool))
