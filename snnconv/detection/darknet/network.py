"""A darknet detector as a plain torch module: it returns the maps of its heads, which decode them outside."""

from __future__ import annotations

import math
from numbers import Integral

import torch
from torch import Tensor, nn

from snnconv.detection.darknet.config import Config
from snnconv.detection.darknet.layers import DarknetConvolution
from snnconv.detection.darknet.sections import MOST_WEIGHTS, SectionLayer, SectionMap, build, sources
from snnconv.detection.heads import Head, YoloHead
from snnconv.errors import ConfigurationError

#: Largest width or height of the input.
_LARGEST_INPUT = 2**14


class DarknetNetwork(nn.Module):
    """The network that a ``.cfg`` describes, in eval mode, with random weights.

    ``layers`` has one module for every section behind [net], with its number. ``heads`` decode the maps that the
    network returns, in the same order; ``input_shape`` is (channels, height, width) of one image, ``seen`` the number
    of images it was trained on, ``letterbox`` whether pictures are to keep their aspect ratio. The network takes other
    heights and widths too, if its largest stride divides them.

    ``size`` replaces (height, width) of [net], ``seed`` fixes the weights; with ``seed=None`` there are none, and no
    memory for them, until those of a file are loaded. Raises ``ConfigurationError`` where sections
    do not fit together, and for a seed that is negative or has more than 63 bits.
    """

    def __init__(self, config: Config, *, size: tuple[int, int] | None = None, seed: int | None = 0) -> None:
        super().__init__()
        if seed is not None and not 0 <= seed < 2**63:
            raise ConfigurationError(f"seed must be from 0 to {2**63 - 1}, got {seed}")
        self.seen = 0
        self.input_shape = _input_shape(config, size)
        self.letterbox = bool(config.net.whole("letter_box", 0, most=1))
        layers = _layers_for(config, size)
        self.sources = [sources(section, index) for index, section in enumerate(config.layers)]
        heads = {index: layer.head for index, layer in enumerate(layers) if layer.head is not None}
        if not heads:
            raise ConfigurationError(f"{config.file} has no [yolo] and no [region]; a detector ends in at least one")
        self.layers = nn.ModuleList(layer.module for layer in layers)
        weights = sum(parameter.numel() for parameter in self.parameters())
        if weights > MOST_WEIGHTS:
            raise ConfigurationError(f"{config.file} describes {weights} weights; at most {MOST_WEIGHTS} are supported")
        self.heads: tuple[Head, ...] = tuple(heads.values())
        self._outputs = tuple(heads)
        last_use = {source: index for index, read in enumerate(self.sources) for source in read}
        self._done = [[source for source, last in last_use.items() if last == index] for index in range(len(layers))]
        self.float()
        self.eval()
        if seed is not None:
            self.allocate()
            generator = torch.Generator().manual_seed(seed)
            for convolution in self.convolutions().values():
                convolution.initialize(generator)

    def allocate(self) -> None:
        """Memory for weights that are still on the meta device; what is in it has no meaning."""
        if any(parameter.is_meta for parameter in self.parameters()):
            self.to_empty(device="cpu")
            for convolution in self.convolutions().values():
                if convolution.normalization is not None:
                    convolution.normalization.reset_running_stats()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The map ``[N, anchors (5 + classes), h, w]`` of every head, for ``images [N, C, H, W]``."""
        maps = {-1: images}
        for index, layer in enumerate(self.layers):
            maps[index] = layer(*(maps[source] for source in self.sources[index]))
            for source in self._done[index]:
                del maps[source]
        return tuple(maps[index] for index in self._outputs)

    def convolutions(self) -> dict[int, DarknetConvolution]:
        """The convolutions by the number of their layer, in order."""
        return {index: layer for index, layer in enumerate(self.layers) if isinstance(layer, DarknetConvolution)}


def _layers_for(config: Config, size: tuple[int, int] | None) -> list[SectionLayer]:
    """The layers for an input of ``size``, on the meta device; of a size that does not fit it says which ones do."""
    shape = _input_shape(config, size)
    try:
        return _layers(config, shape)
    except ConfigurationError as error:
        if size is None:
            raise
        stride = math.lcm(*(layer.map.stride for layer in _layers(config, _input_shape(config, None))))
        if not any(length % stride for length in shape[1:]):
            raise
        raise ConfigurationError(
            f"size is {shape[1:]}; {config.file} has strides up to {stride}, so height and width must be multiples of "
            f"{stride}"
        ) from error


def _layers(config: Config, shape: tuple[int, int, int]) -> list[SectionLayer]:
    maps = {-1: SectionMap(*shape, 1)}
    found: list[SectionLayer] = []
    with torch.device("meta"):  # so that a hostile description takes no memory
        for index, section in enumerate(config.layers):
            read = sources(section, index)
            for source in read:
                if source >= 0 and found[source].head is not None:
                    raise section.error(f"it reads layer {source}, a head; read the layer before that instead")
            layer = build(section, [maps[source] for source in read])
            maps[index] = cells = layer.map
            if isinstance(layer.head, YoloHead) and layer.head.activated and not _is_logistic(found[-1:]):
                raise section.error(
                    "new_coords=1 takes the values of a logistic layer; set activation=logistic in the layer before",
                    "new_coords",
                )
            if layer.head is not None and (cells.height * cells.stride, cells.width * cells.stride) != shape[1:]:
                raise section.error(
                    f"its map of {cells} has not one cell for every {cells.stride} pixels of the input; pad the "
                    "convolutions before it"
                )
            found.append(layer)
    return found


def _is_logistic(layers: list[SectionLayer]) -> bool:
    """Whether the last of ``layers`` gives values from 0 to 1."""
    return bool(layers) and isinstance(getattr(layers[-1].module, "activation", None), nn.Sigmoid)


def _input_shape(config: Config, size: tuple[int, int] | None) -> tuple[int, int, int]:
    net = config.net
    channels = net.whole("channels", least=1, most=_LARGEST_INPUT)
    if size is None:
        height, width = (net.whole(name, least=1, most=_LARGEST_INPUT) for name in ("height", "width"))
        return channels, height, width
    lengths = list(size) if isinstance(size, (tuple, list)) else []
    if len(lengths) != 2 or not all(isinstance(each, Integral) and 1 <= each <= _LARGEST_INPUT for each in lengths):
        raise ConfigurationError(f"size is {size!r}; give (height, width), integers from 1 to {_LARGEST_INPUT}")
    return channels, int(lengths[0]), int(lengths[1])
