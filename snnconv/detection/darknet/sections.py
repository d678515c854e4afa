"""Sections of a ``.cfg`` become layers: what each makes of the maps it reads, and all its numbers checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import nn

from snnconv.detection.darknet.config import Section
from snnconv.detection.darknet.layers import (
    ACTIVATIONS,
    DarknetConvolution,
    DarknetMaxPool,
    DarknetReorg,
    DarknetRoute,
    DarknetShortcut,
    activation,
)
from snnconv.detection.heads import Head, RegionHead, YoloHead
from snnconv.errors import ConfigurationError

#: Weights of a layer, and of a network, beyond which a description is refused; they fill a gigabyte.
MOST_WEIGHTS = 2**28
#: Largest kernel or window.
_LARGEST_SIZE = 255
#: Activations of a sum of two layers.
_SHORTCUT_ACTIVATIONS = ("linear", "leaky", "relu")


@dataclass(frozen=True)
class SectionMap:
    """What a layer returns for one image: ``channels`` of ``height`` times ``width``, ``stride`` pixels apart."""

    channels: int
    height: int
    width: int
    stride: int

    def __str__(self) -> str:
        return f"{self.channels} x {self.height} x {self.width}"


@dataclass(frozen=True)
class SectionLayer:
    """A section as a module, the map it returns, and what decodes that map where the layer is a head."""

    module: nn.Module
    map: SectionMap
    head: Head | None = None


def sources(section: Section, index: int) -> tuple[int, ...]:
    """Indices of the layers whose maps the layer ``index`` takes, -1 for the image."""
    if section.name == "route":
        return tuple(_index(section, "layers", number, index) for number in section.wholes("layers"))
    if section.name == "shortcut":
        numbers = section.wholes("from")
        if len(numbers) != 1:
            raise section.error("from names several layers; a shortcut adds one", "from")
        return (index - 1, _index(section, "from", numbers[0], index))
    return (index - 1,)


def build(section: Section, maps: Sequence[SectionMap]) -> SectionLayer:
    """The layer of a section that takes ``maps``; raises ``ConfigurationError`` where they do not fit together."""
    return _BUILDERS[section.name](section, maps)


def _index(section: Section, option: str, number: int, index: int) -> int:
    found = number if number >= 0 else index + number
    if not 0 <= found < index:
        raise section.error(
            f"{option} names layer {number}; before this layer, number {index}, there are the layers "
            f"{-index} to -1, or 0 to {index - 1}, [net] not counted",
            option,
        )
    return found


def _strided(section: Section, source: SectionMap, stride: int) -> int:
    if source.height % stride or source.width % stride:
        raise section.error(
            f"stride {stride} does not divide a map of {source}; make width and height of the network's input "
            f"multiples of {source.stride * stride}",
            "stride",
        )
    return source.stride * stride


def _convolutional(section: Section, maps: Sequence[SectionMap]) -> SectionLayer:
    (source,) = maps
    filters, groups = section.whole("filters", least=1), section.whole("groups", 1, least=1)
    size, stride = (section.whole(name, 1, least=1, most=_LARGEST_SIZE) for name in ("size", "stride"))
    padding = section.whole("padding", 0, most=_LARGEST_SIZE)
    if section.whole("pad", 0, most=1):
        padding = size // 2
    dilation = section.whole("dilation", 1, least=1, most=_LARGEST_SIZE) if size > 1 else 1  # as darknet
    if dilation > 1 and 2 * padding != size - 1:
        raise section.error(
            f"dilation {dilation} of a kernel of size {size} with padding {padding}: darknet leaves it out of the "
            "map's size, which is right for odd sizes with pad=1 alone; give these",
            "dilation",
        )
    for what, count, option in (("maps it takes", source.channels, "groups"), ("filters", filters, "filters")):
        if count % groups:
            raise section.error(f"{groups} groups do not divide the {count} {what}", option)
    weights = filters * (source.channels // groups) * size**2
    if weights > MOST_WEIGHTS:
        raise section.error(f"its kernel has {weights} weights; at most {MOST_WEIGHTS} are supported")
    reach = 2 * padding - size
    found = SectionMap(
        filters,
        (source.height + reach) // stride + 1,
        (source.width + reach) // stride + 1,
        _strided(section, source, stride),
    )
    if min(found.height, found.width) < 1:
        raise section.error(
            f"a kernel of size {size} with padding {padding} is larger than its map of {source}", "size"
        )
    module = DarknetConvolution(
        source.channels,
        filters,
        size=size,
        stride=stride,
        padding=padding * dilation,
        dilation=dilation,
        groups=groups,
        normalized=bool(section.whole("batch_normalize", 0, most=1)),
        activation=activation(section.word("activation", ACTIVATIONS)),
    )
    return SectionLayer(module, found)


def _maxpool(section: Section, maps: Sequence[SectionMap]) -> SectionLayer:
    (source,) = maps
    stride = section.whole("stride", 1, least=1, most=_LARGEST_SIZE)
    size = section.whole("size", stride, least=1, most=_LARGEST_SIZE)
    padding = section.whole("padding", size - 1, most=size - 1)
    height, width = ((length + padding - size) // stride + 1 for length in (source.height, source.width))
    found = SectionMap(source.channels, height, width, _strided(section, source, stride))
    if min(found.height, found.width) < 1:
        raise section.error(f"a window of size {size} is larger than its map of {source}", "size")
    return SectionLayer(DarknetMaxPool(size, stride, padding), found)


def _upsample(section: Section, maps: Sequence[SectionMap]) -> SectionLayer:
    (source,) = maps
    factor = section.whole("stride", 2, least=1, most=_LARGEST_SIZE)
    if source.stride % factor:
        raise section.error(f"it makes the map {factor} times larger, and its stride is {source.stride}", "stride")
    found = SectionMap(source.channels, source.height * factor, source.width * factor, source.stride // factor)
    return SectionLayer(nn.Upsample(scale_factor=factor, mode="nearest"), found)


def _route(section: Section, maps: Sequence[SectionMap]) -> SectionLayer:
    if len({replace(source, channels=0) for source in maps}) > 1:
        raise section.error(f"maps of {', '.join(map(str, maps))} do not fit side by side", "layers")
    parts = section.whole("groups", 1, least=1)
    part = section.whole("group_id", 0, most=parts - 1)
    for source in maps:
        if source.channels % parts:
            raise section.error(f"{parts} groups do not divide the {source.channels} channels of a layer", "groups")
    channels = sum(source.channels for source in maps) // parts
    return SectionLayer(DarknetRoute(parts, part), replace(maps[0], channels=channels))


def _shortcut(section: Section, maps: Sequence[SectionMap]) -> SectionLayer:
    own, earlier = maps
    if replace(earlier, channels=own.channels) != own:
        raise section.error(
            f"it adds a map of {earlier} to one of {own}; only maps of the same height and width can be added", "from"
        )
    return SectionLayer(DarknetShortcut(activation(section.word("activation", _SHORTCUT_ACTIVATIONS, "linear"))), own)


def _reorg(section: Section, maps: Sequence[SectionMap]) -> SectionLayer:
    (source,) = maps
    step = section.whole("stride", 1, least=1, most=_LARGEST_SIZE)
    for option in ("reverse", "flatten", "extra"):
        if section.whole(option, 0):
            raise section.error(f"{option} is not 0; only {option}=0 is supported", option)
    if source.channels % step**2:
        raise section.error(
            f"stride {step} takes {step**2} maps into one; the layer before has {source.channels}", "stride"
        )
    stride = _strided(section, source, step)
    found = SectionMap(source.channels * step**2, source.height // step, source.width // step, stride)
    return SectionLayer(DarknetReorg(step), found)


def _dropout(section: Section, maps: Sequence[SectionMap]) -> SectionLayer:
    (probability, *rest) = section.reals("probability", (0.5,))
    if rest or not 0.0 <= probability <= 1.0:
        raise section.error("probability must be one number from 0 to 1", "probability")
    return SectionLayer(nn.Dropout(probability), maps[0])


def _yolo(section: Section, maps: Sequence[SectionMap]) -> SectionLayer:
    anchors = _anchors(section)
    mask = section.wholes("mask", tuple(range(len(anchors))), least=0, most=len(anchors) - 1)
    scale, *rest = section.reals("scale_x_y", (1.0,))
    if rest:
        raise section.error("scale_x_y is a list; it must be one number", "scale_x_y")
    chosen = tuple(anchors[number] for number in mask)
    classes = section.whole("classes", least=1)
    activated = bool(section.whole("new_coords", 0, most=1))
    return _head(section, maps[0], lambda stride: YoloHead(chosen, classes, stride, scale, activated))


def _region(section: Section, maps: Sequence[SectionMap]) -> SectionLayer:
    anchors, classes = _anchors(section), section.whole("classes", least=1)
    for name, value, default in (("coords", 4, 4), ("softmax", 1, 0)):
        if section.whole(name, default) != value:
            raise section.error(f"{name} is not {value}; only {name}={value} is supported", name)
    return _head(section, maps[0], lambda stride: RegionHead(anchors, classes, stride))


def _anchors(section: Section) -> tuple[tuple[float, float], ...]:
    lengths = section.reals("anchors")
    pairs = tuple(zip(lengths[::2], lengths[1::2], strict=False))
    number = section.whole("num", 1, least=1)
    if len(lengths) != 2 * number:
        raise section.error(f"anchors holds {len(lengths)} numbers; num={number} anchors have {2 * number}", "anchors")
    return pairs


def _head(section: Section, source: SectionMap, make: Callable[[int], Head]) -> SectionLayer:
    try:
        head = make(source.stride)
    except ConfigurationError as error:
        raise section.error(str(error)) from error
    if source.channels != head.channels:
        raise section.error(
            f"{len(head.anchors)} anchors and {head.classes} classes take {len(head.anchors)} x (5 + {head.classes}) = "
            f"{head.channels} channels, and the layer before has {source.channels}; set filters={head.channels} there"
        )
    return SectionLayer(nn.Identity(), source, head)


_BUILDERS: dict[str, Callable[[Section, Sequence[SectionMap]], SectionLayer]] = {
    "convolutional": _convolutional,
    "maxpool": _maxpool,
    "upsample": _upsample,
    "route": _route,
    "reorg": _reorg,
    "shortcut": _shortcut,
    "dropout": _dropout,
    "yolo": _yolo,
    "region": _region,
}
