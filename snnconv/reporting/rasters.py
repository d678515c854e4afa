"""The part on spikes: who fires when in a few samples, and how much each spike carries."""

from __future__ import annotations

import math
from collections.abc import Sequence

from snnconv.reporting.charts import SPAN, drawing, legend, mark, time_axis
from snnconv.reporting.contents import Contents, Part
from snnconv.reporting.markup import Markup, joined, number, tag
from snnconv.reporting.measuring import ShownSample
from snnconv.reporting.trains import ShownTrain
from snnconv.reporting.wording import counted

#: Height of a neuron's row, in the coordinates of a strip and in pixels.
_ROW, _PIXELS = 10, 4
#: Heights of spikes in a row by what they carry: the largest payload, half of it, a quarter, and less.
_HEIGHTS = (9.0, 7.0, 5.0, 3.5)
_CLASSES = (("w0", "largest"), ("w1", "from half of it"), ("w2", "from a quarter"), ("w3", "less"))


def rasters_part(contents: Contents) -> Part | None:
    """Rasters of the samples that were looked at closely; ``None`` without one."""
    if contents.look is None or not contents.look.shown:
        return None
    samples = contents.look.shown
    names = [train.name for train in samples[0].trains]
    silent = not any(bool(train.payloads.ne(0).any()) for sample in samples for train in sample.trains)
    span = _span(contents, samples)
    drawn = [_sample(contents, sample, span) for sample in samples]
    total = len(contents.network.populations)
    lead = "Neurons of each population that fire, a row each; time runs to the right."
    if contents.network.timing is not None:
        lead += " A population fires in a window of its own, which is shaded."
    if len(names) < total:
        lead += f" Shown are {len(names)} of {total:,} populations."
    if silent:
        lead = "No neuron of the populations fired in these samples."
    content = joined([_controls(contents, samples, names), _keys(samples), *drawn])
    return Part("spikes", "Spikes", lead, content)


def _span(contents: Contents, samples: Sequence[ShownSample]) -> int:
    """The time steps that rasters show."""
    ends = [train.start + len(train.payloads) for sample in samples for train in sample.trains]
    latency = 0 if contents.network.timing is None else contents.network.timing.latency
    return max([*ends, latency, 1])


def _controls(contents: Contents, samples: Sequence[ShownSample], names: Sequence[str]) -> Markup:
    chosen = []
    if len(samples) > 1:
        options = [
            tag("option", _title(contents, sample), value=str(position)) for position, sample in enumerate(samples)
        ]
        chosen.append(tag("label", "Sample ", tag("select", *options, data_choose="sample")))
    if len(names) > 1:
        options = [tag("option", f"all {len(names)}", value="")]
        options += [tag("option", name, value=str(position)) for position, name in enumerate(names)]
        chosen.append(tag("label", "Population ", tag("select", *options, data_choose="population")))
    return tag("div", *chosen, class_="controls") if chosen else Markup()


def _title(contents: Contents, sample: ShownSample) -> str:
    said = f"{sample.number}"
    return said if sample.decided is None else f"{said}: {contents.name_of(sample.decided)}"


def _keys(samples: Sequence[ShownSample]) -> Markup:
    """What the marks mean: heights only where spikes of a population carry different amounts."""
    found = {kind for sample in samples for train in sample.trains for kind in _marks(train)}
    if not found:
        return Markup()
    negative = [("spike minus", "negative")] if any(kind[1] for kind in found) else []
    if {kind[0] for kind in found} == {0}:
        return legend([("spike w0", "a spike; all of a population carry the same"), *negative])
    entries = [(f"spike {_CLASSES[each][0]}", _CLASSES[each][1]) for each in sorted({kind[0] for kind in found})]
    entries[0] = (entries[0][0], f"carries the {entries[0][1]}" if entries[0][1] == "largest" else entries[0][1])
    return legend([*entries, *negative])


def _sample(contents: Contents, sample: ShownSample, span: int) -> Markup:
    strips = [
        tag(
            "div",
            tag("p", train.name, tag("small", _counted(train)), class_="who"),
            _strip(contents, train, span),
            class_="strip",
            data_population=str(position),
        )
        for position, train in enumerate(sample.trains)
    ]
    axis = time_axis(span, 0)
    ticks = [mark(axis.share(value), text) for value, text in axis.ticks]
    feet = tag("div", tag("span", "time step", class_="who"), tag("div", *ticks, class_="alongs"), class_="strip feet")
    caption = f"Sample {sample.number}{_decided(contents, sample)}."
    return tag("figure", *strips, feet, tag("figcaption", caption), class_="raster", data_sample=str(sample.number - 1))


def _decided(contents: Contents, sample: ShownSample) -> str:
    """What both networks made of a sample, and what it is."""
    told = []
    if sample.decided is not None:
        told.append(f" was decided to be {contents.name_of(sample.decided)}")
    if sample.original is not None:
        told.append(f"by the original {contents.name_of(sample.original)}")
    if sample.target is not None and sample.target >= 0:
        told.append(f"and is {contents.name_of(sample.target)}" if told else f" is {contents.name_of(sample.target)}")
    return ", ".join(told)


def _counted(train: ShownTrain) -> str:
    """How many neurons are shown of how many that fire."""
    shown = train.payloads.shape[1]
    if not train.firing:
        return "silent"
    if train.watched == train.neurons:
        return f"{shown} of {train.firing} that fire, of {counted(train.neurons, 'neuron')}"
    return f"{shown} of {train.firing} that fire, of {train.watched} watched, of {counted(train.neurons, 'neuron')}"


def _strip(contents: Contents, train: ShownTrain, span: int) -> Markup:
    rows = max(1, train.payloads.shape[1])
    found = _marks(train)
    content = []
    steps = len(train.payloads)
    if contents.network.timing is not None:
        left, width = SPAN * train.start / span, SPAN * steps / span
        content.append(
            tag("rect", x=number(left, 1), y="0", width=number(width, 1), height=str(rows * _ROW), class_="window")
        )
    for (weight, negative), marks in sorted(found.items()):
        half = SPAN / span / 2
        height = _HEIGHTS[weight]
        path = "".join(
            f"M{number(SPAN * (train.start + t) / span + half, 1)} {(row + 1) * _ROW}v-{number(height, 1)}"
            for t, row in marks
        )
        content.append(tag("path", d=path, class_=f"spike {_CLASSES[weight][0]}{' minus' if negative else ''}"))
    spikes = sum(len(marks) for marks in found.values())
    drawn = drawing(*content, height=float(rows * _ROW))
    neurons = counted(train.payloads.shape[1], "neuron")
    says = f"{train.name}: {counted(spikes, 'spike')} of {neurons} in {counted(steps, 'time step')}"
    return tag("div", drawn, role="img", aria_label=says, class_="trains", style=f"--rows:{max(rows, 2)}")


def _marks(train: ShownTrain) -> dict[tuple[int, bool], list[tuple[int, int]]]:
    """Steps and rows of spikes, by the class of what they carry and whether that is below 0."""
    largest = float(train.payloads.abs().max()) if train.payloads.numel() else 0.0
    found: dict[tuple[int, bool], list[tuple[int, int]]] = {}
    values = train.payloads.tolist()
    for t, row in train.payloads.nonzero().tolist():
        value = values[t][row]
        weight = min(len(_HEIGHTS) - 1, math.floor(-math.log2(abs(value) / largest) + 1e-6))
        found.setdefault((weight, value < 0), []).append((t, row))
    return found
