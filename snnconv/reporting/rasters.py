"""The part on spikes: who fires when in a few samples, and how much each spike carries."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from snnconv.reporting.charts import SPAN, drawing, legend, mark, time_axis
from snnconv.reporting.contents import Contents, Part
from snnconv.reporting.markup import Markup, joined, number, tag
from snnconv.reporting.measuring import ShownSample
from snnconv.reporting.trains import ShownTrain
from snnconv.reporting.wording import counted, share

#: Height of a neuron's row in the coordinates of a strip, and populations of a pipeline that share one axis of time.
_ROW, _TOGETHER = 10, 6
#: Heights of spikes in a row by what they carry: over half of the largest payload, over a quarter, an eighth, and less.
_HEIGHTS = (9.0, 7.0, 5.0, 3.5)
_CLASSES = (
    ("w0", "carries over half the largest of its population"),
    ("w1", "over a quarter of it"),
    ("w2", "over an eighth"),
    ("w3", "less"),
)


def rasters_part(contents: Contents) -> Part | None:
    """Rasters of the samples that were looked at closely; ``None`` without one."""
    if contents.look is None:
        return None
    samples, left = contents.look.shown, contents.look.left_out
    if not samples:
        many = "Even two neurons of each population fire too often to be drawn in a file of this size."
        return Part("spikes", "Spikes", many, Markup()) if left else None
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
    if left:
        lead += f" {counted(left, 'further sample is', 'further samples are')} left out to keep this file small."
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
    if all(_alike(train) for sample in samples for train in sample.trains):
        return legend([("spike w0", "a spike; all of a population carry the same"), *negative])
    entries = [(f"spike {_CLASSES[each][0]}", _CLASSES[each][1]) for each in sorted({kind[0] for kind in found})]
    return legend([*entries, *negative])


def _sample(contents: Contents, sample: ShownSample, span: int) -> Markup:
    """The strips of a sample below one axis of time; windows of many populations are wider, each with its own."""
    apart = contents.network.timing is not None and len(sample.trains) > _TOGETHER
    strips = [_strip(contents, train, span, apart, position) for position, train in enumerate(sample.trains)]
    axis = time_axis(span, 0)
    ticks = tag("div", *(mark(axis.share(value), text) for value, text in axis.ticks), class_="alongs")
    feet = tag("div", tag("span", "time step", class_="who"), ticks, class_="strip feet")
    drawn = joined([_windows(sample.trains, span), feet, tag("div", *strips, class_="cards")])
    caption = tag("figcaption", f"Sample {sample.number}{_decided(contents, sample)}.")
    shown = drawn if apart else joined([*strips, feet])
    return tag("figure", shown, caption, class_="raster", data_sample=str(sample.number - 1))


def _windows(trains: Sequence[ShownTrain], span: int) -> Markup:
    """When each population fires, one below the other."""
    bars = [
        tag(
            "rect",
            tag("title", f"{train.name}: {_when(train)}"),
            x=number(SPAN * train.start / span, 1),
            y=str(row * _ROW + 2),
            width=number(SPAN * len(train.payloads) / span, 1),
            height=str(_ROW - 4),
            class_="bar",
        )
        for row, train in enumerate(trains)
    ]
    says = f"Windows of {len(trains)} populations, from the first to the last, in {counted(span, 'time step')}."
    drawn = drawing(*bars, height=float(_ROW * len(trains)))
    rows = tag("div", drawn, role="img", aria_label=says, class_="trains", style=f"--rows:{len(trains)}")
    return tag("div", tag("p", "windows", class_="who"), rows, class_="strip")


def _when(train: ShownTrain) -> str:
    return f"time steps {train.start} to {train.start + len(train.payloads) - 1}"


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
    """How many neurons fire, and how many of them are shown."""
    if not train.firing:
        return "silent"
    shown = f"{train.payloads.shape[1]} shown"
    if train.watched == train.neurons:
        return f"{train.firing} of {counted(train.neurons, 'neuron')} fire, {shown}"
    return f"about {share(train.firing / train.watched, 0)} of {counted(train.neurons, 'neuron')} fire, {shown}"


def _strip(contents: Contents, train: ShownTrain, span: int, apart: bool, position: int) -> Markup:
    """The spikes of a population, ``apart`` over its own window, else over all time steps."""
    rows, steps, found = max(1, train.payloads.shape[1]), len(train.payloads), _marks(train)
    start, span = (0, steps) if apart else (train.start, span)
    content = []
    if contents.network.timing is not None:
        left, width = number(SPAN * start / span, 1), number(SPAN * steps / span, 1)
        content.append(tag("rect", x=left, y="0", width=width, height=str(rows * _ROW), class_="window"))
    for (weight, negative), marks in sorted(found.items()):
        height = number(_HEIGHTS[weight], 1)
        path = "".join(
            f"M{number(SPAN * (start + t + 0.5) / span, 1)} {(row + 1) * _ROW}v-{height}" for t, row in marks
        )
        content.append(tag("path", d=path, class_=f"spike {_CLASSES[weight][0]}{' minus' if negative else ''}"))
    spikes = counted(sum(len(marks) for marks in found.values()), "spike")
    says = f"{train.name}: {spikes} of {counted(train.payloads.shape[1], 'neuron')} in {counted(steps, 'time step')}"
    drawn = drawing(*content, height=float(rows * _ROW))
    when = tag("small", _when(train)) if apart else None
    return tag(
        "div",
        tag("p", train.name, when, tag("small", _counted(train)), class_="who"),
        tag("div", drawn, role="img", aria_label=says, class_="trains", style=f"--rows:{max(rows, 2)}"),
        class_="card" if apart else "strip",
        data_population=str(position),
    )


def _alike(train: ShownTrain) -> bool:
    """Whether all spikes carry the same, but for their signs."""
    carried = train.payloads[train.payloads != 0].abs()
    return not carried.numel() or bool(torch.isclose(carried, carried[:1], rtol=1e-5).all())


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
