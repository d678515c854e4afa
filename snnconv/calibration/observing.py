"""Activations observed on calibration data, chunk by chunk, here or by others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from snnconv.calibration.activation_statistics import ActivationStatistics
from snnconv.calibration.current_statistics import CurrentStatistics
from snnconv.data.batches import Inputs
from snnconv.errors import InputError
from snnconv.graph.graph import Graph, largest_map
from snnconv.graph.interpreter import Environment, Program
from snnconv.graph.operators.sample_masks import presence_of
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.scaling.shared import SharedValue
from snnconv.scaling.spreading import Spreading
from snnconv.surroundings import own_surroundings

Statistics = ActivationStatistics | CurrentStatistics
#: Values of the largest map that are computed at once when activations are observed.
_MOST_VALUES = 2**22
#: Bytes of samples that travel to a worker together: those that lie in a file may be more than the memory holds.
_MOST_BYTES = 2**26


def observe(
    graph: Graph,
    found: Mapping[str, Statistics],
    chunks: Sequence[Inputs],
    progress: ProgressCallback | None = None,
    spread: Spreading | None = None,
) -> None:
    """Gather the statistics of the results that ``found`` names, when ``graph`` runs on ``chunks``.

    Of populations that are looked up their currents are observed. Two passes: maxima first, then histograms over the
    ranges found; no map is held for longer than the graph needs it. Sums are exact, so that they are the same whoever
    observes. Raises ``InputError`` for a result that is NaN or infinite.
    """
    done = PartsDone(progress, "observing activations", 2 * _number_of_parts(graph, chunks))
    for counting in (False, True):
        if spread is None:
            pass_over = _Pass(graph, found, counting)
            for chunk in chunks:
                for part in _parts(graph, chunk):
                    pass_over.see(part)
                    done.more()
            continue
        content = graph, {name: each if counting else each.fresh() for name, each in found.items()}, counting
        with SharedValue(content, "the model") as shared:
            seen = spread.in_order(_seen, shared, _groups(chunks, spread), "calibration")
            for partial, parts in seen:
                for name, each in partial.items():
                    _add(found[name], each, counting)
                done.more(parts)
    done.end()


def _groups(chunks: Sequence[Inputs], spread: Spreading) -> Iterator[list[Inputs]]:
    """As many chunks together as leave each worker two groups, if they are not too large: histograms are large, too."""
    bytes_of_chunk = sum(tensor.nbytes for tensor in chunks[0])
    size = max(1, min(-(-len(chunks) // (2 * spread.at_once)), _MOST_BYTES // max(1, bytes_of_chunk)))
    for start in range(0, len(chunks), size):
        yield list(chunks[start : start + size])


@own_surroundings()
def _seen(
    content: tuple[Graph, Mapping[str, Statistics], bool], chunks: Sequence[Inputs]
) -> tuple[dict[str, Statistics], int]:
    """What some chunks add to statistics, and how many parts they have."""
    graph, known, counting = content
    found = {name: replace(each, histogram=each.fresh().histogram) for name, each in known.items()}
    parts = [part for chunk in chunks for part in _parts(graph, chunk)]
    pass_over = _Pass(graph, found, counting)
    for part in parts:
        pass_over.see(part)
    return {name: replace(each, present=None) for name, each in found.items()}, len(parts)


def _add(found: Statistics, partial: Statistics, counting: bool) -> None:
    if not counting:
        found.add_maximum(partial)  # type: ignore[arg-type] # of the same kind
    elif found.histogram.numel() == 0:
        found.histogram = partial.histogram
    else:
        found.histogram = found.histogram + partial.histogram


class _Pass:
    """One pass over samples: of maxima, or ``counting``, of histograms over the ranges found."""

    def __init__(self, graph: Graph, found: Mapping[str, Statistics], counting: bool) -> None:
        self._graph, self._found, self._counting = graph, found, counting
        places = {name: presence_of(graph, graph.nodes[name]) for name in found}
        self._present = {name: place for name, place in places.items() if place is not None}
        self._program = Program([*graph.nodes.values()], self._present.values())

    @torch.no_grad()
    def see(self, part: Inputs) -> None:
        """Take some samples in."""
        values: Environment = {**self._graph.constants, **dict(zip(self._graph.taken, part, strict=True))}
        for node in self._program.steps(values):
            if (observed := self._found.get(node.name)) is None:
                continue
            if not self._counting:
                _check_finite(node.name, values[node.name])
            observed.present = values[self._present[node.name]] if node.name in self._present else None
            looked_up = isinstance(observed, CurrentStatistics)
            observe_next = observed.observe_histogram if self._counting else observed.observe_maximum
            observe_next(values[node.arguments["self"].name if looked_up else node.name])


def _parts(graph: Graph, chunk: Inputs) -> Sequence[Inputs]:
    """``chunk`` in parts of few enough samples that their largest map is not too large."""
    if graph.batch_axis is None:
        return [chunk]
    samples = _together(graph)
    return [*zip(*(torch.split(tensor, samples) for tensor in chunk), strict=True)]


def _number_of_parts(graph: Graph, chunks: Sequence[Inputs]) -> int:
    """Of all ``chunks``, which are as long as the first, the last excepted."""
    if graph.batch_axis is None:
        return len(chunks)
    first, last = (-(-len(chunks[place][0]) // _together(graph)) for place in (0, -1))
    return (len(chunks) - 1) * first + last


def _together(graph: Graph) -> int:
    """So many samples that their largest map is not too large."""
    return max(1, _MOST_VALUES // largest_map(graph))


def _check_finite(name: str, values: Tensor) -> None:
    if not (bool(values.sum().isfinite()) or bool(values.isfinite().all())):
        raise InputError(f"calibration: the activation {name} is NaN or infinite for some sample")
