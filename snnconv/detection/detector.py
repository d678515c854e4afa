"""A detector: a network with the heads that decode its maps, and what makes pictures its input."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from snnconv.capture.inference_copy import inference_copy
from snnconv.detection.boxes import Detections, suppress
from snnconv.detection.darknet import load_darknet
from snnconv.detection.data.datasets import read_names
from snnconv.detection.data.images import Preprocessing, as_images
from snnconv.detection.heads import Head
from snnconv.errors import ConfigurationError, InputError
from snnconv.spiking.base import NetworkBase
from snnconv.surroundings import own_surroundings

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class Detector:
    """Finds objects in pictures: ``preprocessing``, a ``network`` (original or spiking) and the ``heads`` of its maps.

    ``names`` are those of the classes. A network that is not spiking runs as a copy in eval mode, whatever its own
    mode. Raises ``ConfigurationError`` where heads and names disagree.
    """

    network: nn.Module
    heads: tuple[Head, ...]
    preprocessing: Preprocessing
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for head in self.heads:
            if head.classes != len(self.names):
                raise ConfigurationError(
                    f"a head tells {head.classes} classes apart and there are {len(self.names)} names; "
                    "give one for each"
                )

    def with_network(self, network: nn.Module) -> Detector:
        """The same detector with another network, for instance a converted one."""
        return replace(self, network=network)

    @own_surroundings()
    def inputs(self, images: Sequence[Image | str | os.PathLike[str]]) -> Tensor:
        """The network's input ``[N, 3, h, w]`` for pictures of any sizes, in its precision and on its device.

        A path stands for the picture in its file. Raises ``InputError`` for what is no picture, or none at all.
        """
        inputs = torch.stack([self.preprocessing.to_tensor(image) for image in as_images(images)])
        tensors = chain(self.network.parameters(), self.network.buffers())
        return inputs.to(next((tensor for tensor in tensors if tensor.is_floating_point()), inputs))

    @own_surroundings()
    def outputs(self, inputs: Tensor) -> Any:
        """What the network returns for ``inputs``: its maps, which ``decode`` reads."""
        spiking = isinstance(self.network, NetworkBase)  # which nothing changes
        network = self.network if spiking else inference_copy(self.network)
        with torch.no_grad():
            return network(inputs)

    def detect(
        self, images: Sequence[Image | str | os.PathLike[str]], *, score_threshold: float = 0.25
    ) -> list[Detections]:
        """What is found in every picture with a score above ``score_threshold``; pictures and errors as ``inputs``."""
        images = as_images(images)
        sizes = [(image.height, image.width) for image in images]
        return self.decode(self.outputs(self.inputs(images)), sizes, score_threshold)

    @own_surroundings()
    def decode(
        self, outputs: Any, sizes: Sequence[tuple[int, int]], score_threshold: float, *, most: int = 300
    ) -> list[Detections]:
        """The ``most`` best detections in every picture of ``sizes`` (height, width), from the network's outputs."""
        boxes, scores = decode_maps(self.heads, outputs)
        if len(boxes) != len(sizes):
            raise InputError(f"the outputs are of {len(boxes)} pictures, the sizes of {len(sizes)}")
        return [
            suppress(self.preprocessing.to_original(box, size), score, score_threshold=score_threshold, most=most)
            for box, score, size in zip(boxes, scores, sizes, strict=True)
        ]


def decode_maps(heads: Sequence[Head], outputs: Any) -> tuple[Tensor, Tensor]:
    """Boxes ``[N, K, 4]`` and scores ``[N, K, C]`` of all heads together, as ``Head.decode`` gives them.

    Raises ``InputError`` unless ``outputs`` holds one map for every head, in their order.
    """
    maps = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
    if len(maps) != len(heads):
        raise InputError(f"the network returns {len(maps)} maps for {len(heads)} heads")
    decoded = [head.decode(raw) for head, raw in zip(heads, maps, strict=True)]
    return torch.cat([boxes for boxes, _ in decoded], 1), torch.cat([scores for _, scores in decoded], 1)


def load_detector(
    config: str | os.PathLike[str],
    weights: str | os.PathLike[str],
    names: str | os.PathLike[str] | Sequence[str] | None = None,
    *,
    letterbox: bool | None = None,
    size: tuple[int, int] | None = None,
) -> Detector:
    """The detector in darknet's files; ``names`` is a file with a class a line, or the names themselves.

    Without ``names`` classes are numbered. With ``letterbox`` pictures keep their aspect ratio, by default if the .cfg
    has letter_box=1; ``size`` replaces (height, width) of the input. Raises as ``load_darknet`` does, and
    ``ConfigurationError`` for names that do not fit and for a network that does not take the three channels of a
    picture.
    """
    network = load_darknet(config, weights, size=size)
    channels, height, width = network.input_shape
    if channels != 3:
        raise ConfigurationError(
            f"{config}: the network takes {channels} channels, and pictures have 3: red, green, blue"
        )
    if names is None:
        chosen: Sequence[str] = [str(number) for number in range(network.heads[0].classes)]
    else:
        chosen = read_names(names) if isinstance(names, (str, os.PathLike)) else names
    keeps_ratio = network.letterbox if letterbox is None else letterbox
    return Detector(network, network.heads, Preprocessing((height, width), keeps_ratio), tuple(chosen))
