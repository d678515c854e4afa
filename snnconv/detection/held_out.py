"""How good a detector in training is, on pictures that it has not learnt from."""

from __future__ import annotations

import torch

from snnconv.detection.boxes import Detections
from snnconv.detection.darknet import DarknetNetwork
from snnconv.detection.data.ground_truth import Truth
from snnconv.detection.data.images import Preprocessing
from snnconv.detection.detector import Detector
from snnconv.detection.evaluation import PIECE
from snnconv.detection.precision import SCORE_THRESHOLD, Precision, mean_average_precision
from snnconv.detection.samples import LabelledPictures, Objects, Samples


def held_out_precision(network: DarknetNetwork, data: LabelledPictures, *, letterbox: bool | None = None) -> Precision:
    """Mean average precision of ``network``, as it is, on labelled pictures that become inputs as in training.

    Boxes are compared on the network's input, where they overlap as on the picture. Errors as for ``train_detector``
    and ``mean_average_precision``.
    """
    samples = Samples(data, network, letterbox=letterbox)
    size = samples.preprocessing.size
    classes = network.heads[0].classes
    on_input = Detector(network, network.heads, Preprocessing(size), tuple(map(str, range(classes))))
    device = next(network.parameters()).device
    detections: list[Detections] = []
    truths: list[Truth] = []
    for start in range(0, len(samples), PIECE):
        images, objects = samples.batch(range(start, min(start + PIECE, len(samples))))
        with torch.no_grad():
            maps = network(images.to(device))
        detections += on_input.decode(maps, [size] * len(images), SCORE_THRESHOLD)
        truths += [_truth(objects, position, on_input.preprocessing) for position in range(len(images))]
    return mean_average_precision(detections, truths, classes)


def _truth(objects: Objects, position: int, on_input: Preprocessing) -> Truth:
    mine = objects.chosen(objects.images == position)
    return Truth(on_input.to_original(mine.boxes, on_input.size), mine.classes, mine.ignored)
