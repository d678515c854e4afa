"""Tallies of shards, counted here or by others, merged in the order of the data."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Protocol, Self, TypeVar

from snnconv.data.passage import Passage
from snnconv.data.shards import Shard
from snnconv.network import SpikingNetwork
from snnconv.ranks import ALONE, Ranks
from snnconv.scaling.shared import SharedValue
from snnconv.scaling.spreading import Spreading
from snnconv.storage.digests import data_digest
from snnconv.surroundings import own_surroundings

#: Shards that a rank counts, at most, before all compare what they read and exchange what they counted.
_ROUND = 16


class ShardTally(Protocol):
    """What was counted on some shards."""

    def merge(self, other: Self) -> Self:
        """Both together."""
        ...


T = TypeVar("T", bound=ShardTally)


class ShardTask(Protocol[T]):
    """What is done with every shard of a data set."""

    @property
    def network(self) -> SpikingNetwork:
        """The network that is measured."""
        ...

    def settled(self, first: Shard) -> ShardTask[T]:
        """The task, with what the ``first`` shard settles for all."""
        ...

    def __call__(self, shard: Shard, finished: Callable[[int], object] | None = None) -> T:
        """What is counted on ``shard``; ``finished`` is told of samples as they end."""
        ...


def tallied(
    task: ShardTask[T], source: Iterator[Shard], passage: Passage, spread: Spreading | None, ranks: Ranks = ALONE
) -> T:
    """What ``task`` counts on ``source``, to the last bit the same whoever counts; ``passage`` is told of it.

    Raises ``InputError`` for data that do not fit, what ``Spreading`` raises, and ``RankError`` where a rank is gone or
    has other data.
    """
    first = next(source)
    task, whole = task.settled(first), None
    source = chain([first], source)
    counted = _counted(task, source, passage, spread) if ranks.size == 1 else _dealt(task, source, passage, ranks)
    for tally in counted:
        whole = tally if whole is None else whole.merge(tally)
    passage.end()
    assert whole is not None
    return whole


def _counted(task: ShardTask[T], source: Iterator[Shard], passage: Passage, spread: Spreading | None) -> Iterator[T]:
    if spread is None:
        for shard in source:
            yield task(shard, passage.samples)
            if shard.ends_batch:
                passage.batch()
        return
    given: deque[tuple[int, bool]] = deque()

    def noted() -> Iterator[Shard]:
        for shard in source:
            given.append((shard.samples, shard.ends_batch))
            yield shard

    with SharedValue(task, "the network, the reference or an option") as shared:
        for tally in spread.in_order(_of_shard, shared, noted(), "data"):
            yield tally
            samples, ends_batch = given.popleft()
            passage.samples(samples)
            if ends_batch:
                passage.batch()


def _dealt(task: ShardTask[T], source: Iterator[Shard], passage: Passage, ranks: Ranks) -> Iterator[T]:
    """The tallies of shards that are dealt out to ``ranks``, in rounds; every rank reads all, and all must be alike."""
    most, size = ranks.size * _ROUND, ranks.size
    while taken := [*islice(source, 1)]:  # the first rounds are short, so that other data is soon found
        facts, own, samples = {}, [], 0
        for place, shard in enumerate(chain(taken, islice(source, size - 1))):
            where = f"samples {shard.before} to {shard.before + shard.samples - 1}"
            facts[where] = data_digest([(shard.inputs, shard.targets)], "data")
            samples += shard.samples
            if place % ranks.size == ranks.rank:
                own.append(task(shard))
        ranks.agree("data", facts)
        tallies = ranks.gather("the tallies of a round", own)
        for place in range(len(facts)):
            yield tallies[place % ranks.size][place // ranks.size]
        passage.samples(samples)
        size = min(2 * size, most)


@own_surroundings()
def _of_shard(task: ShardTask[T], shard: Shard) -> T:
    return task(shard)
