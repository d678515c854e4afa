"""What a report shows of a network on data: figures of the whole data, and some samples looked at closely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from torch import Tensor

from snnconv.data.batches import Inputs
from snnconv.data.shards import Shard, shards
from snnconv.errors import InputError
from snnconv.metrics.calibrated_range import CalibratedRange
from snnconv.metrics.verification_result import Verification
from snnconv.metrics.verification_task import VerificationTask
from snnconv.network import SpikingNetwork
from snnconv.reporting.attention import AttentionMap, attention_maps
from snnconv.reporting.trains import ChosenTrains, ShownTrain
from snnconv.simulators import simulator_for
from snnconv.spiking.decisions import first_output

#: Samples whose populations are compared with the original, at most, and values that are held for it.
_COMPARED, _VALUES = 64, 2**25
#: Populations and neurons of each that rasters show, and spikes of all of them, at most.
MOST_POPULATIONS, MOST_ROWS, _MOST_MARKS = 24, 16, 24_000


@dataclass(frozen=True)
class ShownSample:
    """A sample of which spikes are shown: what was decided, as far as outputs are class scores."""

    number: int
    trains: tuple[ShownTrain, ...]
    decided: int | None
    original: int | None
    target: int | None


@dataclass(frozen=True)
class CloseLook:
    """What was found of some samples: errors of populations, spikes, attention, and warnings of their inputs.

    ``verification`` is ``None`` for a network without an original. ``left_out`` are samples that were to be shown and
    whose spikes are too many.
    """

    samples: int
    verification: Verification | None
    shown: tuple[ShownSample, ...]
    maps: tuple[AttentionMap, ...]
    warnings: tuple[str, ...]
    left_out: int = 0


def first_shard(data: Any, batch_axis: int | None) -> tuple[Shard, Any]:
    """The first samples of ``data``, and data that still holds them where it can be read only once."""
    if not isinstance(data, Iterator):
        return next(shards(data, batch_axis)), data
    batch = next(data, None)
    if batch is None:
        raise InputError("data is empty: there is not one batch")
    return next(shards([batch], batch_axis)), chain([batch], data)


def look_closely(
    network: SpikingNetwork,
    inputs: Inputs,
    targets: Tensor | None,
    *,
    simulator: str,
    steps: int | None,
    seed: int,
    shown: int,
    decides: bool,
) -> CloseLook:
    """What the first samples of ``inputs`` (as the graph takes them) do in ``network``; spikes of ``shown`` of them.

    ``decides`` says whether samples were judged by the class that they are decided to be.
    """
    count = _number_compared(network, inputs)
    inputs = inputs if network.batch_axis is None else tuple(tensor[:count] for tensor in inputs)
    shard = Shard(0, inputs, None, 0, count, True)
    verification = None
    if not network.learned:
        verification = VerificationTask(network, steps, seed, entered=True)(shard).verification
    chosen = simulator_for(network, simulator, steps=steps, seed=seed)
    few = min(shown, count)
    own = inputs if network.batch_axis is None else tuple(tensor[:few] for tensor in inputs)
    ranges = CalibratedRange(network)
    ranges.see(inputs)
    trains = ChosenTrains(network, _shown_populations(network, verification))
    decided: list[int | None] = [None] * few
    exact = decided
    if few:
        output, _ = chosen.run(own, [trains])
        if decides:
            decided = _decisions(network, output)
            exact = exact if network.learned else _decisions(network, network.original(own))
    drawn, rows = _fitting(trains, few)
    samples = tuple(
        ShownSample(
            number + 1,
            tuple(trains.trains(number, rows)),
            decided[number],
            exact[number],
            None if targets is None or not decides else int(targets[number]),
        )
        for number in range(drawn)
    )
    maps, warnings = attention_maps(network, inputs), tuple(ranges.left.warnings())
    return CloseLook(count, verification, samples, maps, warnings, few - drawn)


def _number_compared(network: SpikingNetwork, inputs: Inputs) -> int:
    """How many samples are compared: fewer of a large network, whose values are all held at once."""
    if network.batch_axis is None:
        return 1
    neurons = sum(population.neurons for population in network.populations.values())
    return max(1, min(len(inputs[0]), _COMPARED, _VALUES // neurons))


def _shown_populations(network: SpikingNetwork, verification: Verification | None) -> Sequence[str]:
    """Populations whose spikes are shown, evenly chosen in order of execution; the worst is among them."""
    nodes = [*network.populations]
    chosen = {nodes[number * len(nodes) // MOST_POPULATIONS] for number in range(MOST_POPULATIONS)}
    worst = "" if verification is None else verification.reading.population
    return [node for node in nodes if node in chosen or network.name_of(node) == worst]


def _fitting(trains: ChosenTrains, samples: int) -> tuple[int, int]:
    """Samples, and neurons of every population, that are shown: fewer where a report would be too large.

    At first neurons are left out, then samples.
    """
    rows = MOST_ROWS
    while samples and sum(_marks(trains.trains(number, rows)) for number in range(samples)) > _MOST_MARKS:
        samples, rows = (samples, rows // 2) if rows > 2 else (samples - 1, rows)
    return samples, rows


def _marks(trains: Sequence[ShownTrain]) -> int:
    return sum(int(train.payloads.ne(0).sum()) for train in trains)


def _decisions(network: SpikingNetwork, output: Any) -> list[int | None]:
    """The class of every sample; ``None`` where outputs are no scores of whole samples."""
    first = first_output(output)
    scores = first.is_floating_point() and first.dim() == 2 and first.shape[1] > 1
    if not scores and (first.is_floating_point() or first.dim() != 1):
        return [None] * len(first)
    return [int(decided) for decided in network.decide(output)]
