"""A darknet detector as a plain torch module: it returns the maps of its heads, which decode them outside."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from snnconv.detection.darknet.config import Config, read_config
from snnconv.detection.darknet.layers import Convolution
from snnconv.detection.darknet.sections import MOST_WEIGHTS, Map, build, sources
from snnconv.detection.darknet.weights import load_weights
from snnconv.detection.heads import Head
from snnconv.errors import ConfigurationError

#: Largest width or height of the input.
_LARGEST_INPUT = 2**14


class DarknetNetwork(nn.Module):
    """The network that a ``.cfg`` describes, in eval mode, with random weights.

    ``layers`` has one module for every section behind [net], with its number. ``heads`` decode the maps that the
    network returns, in the same order; ``input_shape`` is (channels, height, width) of one image, ``seen`` the number
    of images it was trained on. The network takes other heights and widths too, if its largest stride divides them.

    ``size`` replaces (height, width) of [net], ``seed`` fixes the weights. Raises ``ConfigurationError`` where sections
    do not fit together, and for a seed that is negative or has more than 63 bits.
    """

    def __init__(self, config: Config, *, size: tuple[int, int] | None = None, seed: int = 0) -> None:
        super().__init__()
        if not 0 <= seed < 2**63:
            raise ConfigurationError(f"seed must be from 0 to {2**63 - 1}, got {seed}")
        self.seen = 0
        self.input_shape = _input_shape(config, size)
        layers, heads = [], {}
        maps = {-1: Map(*self.input_shape, 1)}
        self.sources: list[tuple[int, ...]] = []
        with torch.device("meta"):  # so that a hostile description takes no memory
            for index, section in enumerate(config.layers):
                read = sources(section, index)
                for source in read:
                    if source in heads:
                        raise section.error(f"it reads layer {source}, a head; read the layer before that instead")
                layer = build(section, [maps[source] for source in read])
                maps[index] = layer.map
                layers.append(layer.module)
                self.sources.append(read)
                if layer.head is not None:
                    heads[index] = layer.head
                    self._check_grid(config, index, layer.map)
        if not heads:
            raise ConfigurationError(f"{config.file} has no [yolo] and no [region]; a detector ends in at least one")
        self.layers = nn.ModuleList(layers)
        weights = sum(parameter.numel() for parameter in self.parameters())
        if weights > MOST_WEIGHTS:
            raise ConfigurationError(f"{config.file} describes {weights} weights; at most {MOST_WEIGHTS} are supported")
        self.heads: tuple[Head, ...] = tuple(heads.values())
        self._outputs = tuple(heads)
        last_use = {source: index for index, read in enumerate(self.sources) for source in read}
        self._done = [[source for source, last in last_use.items() if last == index] for index in range(len(layers))]
        self.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(seed)
        for convolution in self.convolutions().values():
            convolution.initialize(generator)
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The map ``[N, anchors (5 + classes), h, w]`` of every head, for ``images [N, C, H, W]``."""
        maps = {-1: images}
        for index, layer in enumerate(self.layers):
            maps[index] = layer(*(maps[source] for source in self.sources[index]))
            for source in self._done[index]:
                del maps[source]
        return tuple(maps[index] for index in self._outputs)

    def convolutions(self) -> dict[int, Convolution]:
        """The convolutions by the number of their layer, in order."""
        return {index: layer for index, layer in enumerate(self.layers) if isinstance(layer, Convolution)}

    def _check_grid(self, config: Config, index: int, cells: Map) -> None:
        if (cells.height * cells.stride, cells.width * cells.stride) != self.input_shape[1:]:
            raise config.layers[index].error(
                f"its map of {cells} has not one cell for every {cells.stride} pixels of the input; pad the "
                "convolutions before it"
            )


def load_darknet(
    config: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    *,
    size: tuple[int, int] | None = None,
    seed: int = 0,
) -> DarknetNetwork:
    """The detector in darknet's files, in eval mode; without ``weights`` they are random, fixed by ``seed``.

    ``size`` replaces (height, width) of the input. Raises ``StorageError`` for files that cannot be read or do not
    belong together, ``ConfigurationError`` for a description that is malformed or not supported.
    """
    network = DarknetNetwork(read_config(config), size=size, seed=seed)
    if weights is not None:
        load_weights(network, weights)
    return network


def _input_shape(config: Config, size: tuple[int, int] | None) -> tuple[int, int, int]:
    net = config.net
    channels = net.whole("channels", least=1, most=_LARGEST_INPUT)
    height, width = size or [net.whole(name, least=1, most=_LARGEST_INPUT) for name in ("height", "width")]
    if not (1 <= height <= _LARGEST_INPUT and 1 <= width <= _LARGEST_INPUT):
        raise ConfigurationError(f"size is {(height, width)}; height and width must be from 1 to {_LARGEST_INPUT}")
    return channels, height, width
