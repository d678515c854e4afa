"""The part on attention: what queries give to keys, in spikes beside the original."""

from __future__ import annotations

import math

from torch import Tensor

from snnconv.reporting.attention import AttentionMap
from snnconv.reporting.charts import SPAN, drawing
from snnconv.reporting.contents import Contents, Part
from snnconv.reporting.markup import Markup, joined, number, tag
from snnconv.reporting.wording import decimal

#: Shades of a map, from none to the largest weight of both networks.
_SHADES = 6


def attention_part(contents: Contents) -> Part | None:
    """Pairs of maps, one at a time; ``None`` for a network without attention."""
    maps = () if contents.look is None else contents.look.maps
    if not maps:
        return None
    options = [tag("option", _name(each), value=str(position)) for position, each in enumerate(maps)]
    chosen = tag("label", "Head ", tag("select", *options, data_choose="map")) if len(maps) > 1 else None
    controls = tag("div", chosen, class_="controls") if chosen else None
    drawn = [_pair(each, position) for position, each in enumerate(maps)]
    lead = "What the first sample's queries (rows) give to its keys (columns): "
    lead += "a row adds up to 1, or to 0 where nothing fired for its query."
    return Part("attention", "Attention", lead, joined([controls, *drawn]))


def _name(found: AttentionMap) -> str:
    return f"{found.name}, head {found.head + 1}"


def _pair(found: AttentionMap, position: int) -> Markup:
    difference = float((found.spiking - found.original).abs().mean())
    largest = max(float(found.spiking.max()), float(found.original.max()), 1e-12)
    name = f"attention of {_name(found)}"
    sides = [
        tag("div", tag("p", label, class_="who"), _map(weights, largest, f"{label} network: {name}"))
        for label, weights in (("spiking", found.spiking), ("original", found.original))
    ]
    queries, keys = found.tokens
    together = "" if found.original.shape == found.tokens else ", neighbours taken together"
    caption = f"{_name(found)}: {queries} queries, {keys} keys{together}; mean difference {decimal(difference)}. "
    caption += f"The darkest shade is {decimal(largest)} in both."
    pair = tag("div", *sides, class_="maps")
    return tag("figure", pair, tag("figcaption", caption), data_map=str(position))


def _map(weights: Tensor, largest: float, says: str) -> Markup:
    """A map in shades relative to the ``largest`` of both networks; neighbours of one shade are one rectangle."""
    rows, columns = weights.shape
    height, width = SPAN / rows, SPAN / columns
    paths: dict[int, list[str]] = {}
    for row, values in enumerate(weights.tolist()):
        start = 0
        shades = [min(_SHADES, math.ceil(_SHADES * value / largest - 1e-9)) for value in values]
        for column in range(1, columns + 1):
            if column < columns and shades[column] == shades[start]:
                continue
            if shades[start] > 0:
                at = f"M{number(start * width, 1)} {number(row * height, 1)}"
                side = number((column - start) * width, 1)
                paths.setdefault(shades[start], []).append(f"{at}h{side}v{number(height, 1)}h-{side}z")
            start = column
    cells = [tag("path", d="".join(path), class_=f"shade s{shade}") for shade, path in sorted(paths.items())]
    return tag(
        "div", drawing(*cells), class_="map", role="img", aria_label=says, style=f"aspect-ratio:{columns}/{rows}"
    )
