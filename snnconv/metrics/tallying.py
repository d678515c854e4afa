"""Tallies of shards, counted here or by others, merged in the order of the data."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Protocol, Self, TypeVar

from snnconv.data.passage import Passage
from snnconv.data.shards import Shard
from snnconv.network import SpikingNetwork
from snnconv.scaling.shared import Shared
from snnconv.scaling.spreading import Spread
from snnconv.surroundings import own_surroundings


class Tally(Protocol):
    """What was counted on some shards."""

    def merge(self, other: Self) -> Self:
        """Both together."""
        ...


T = TypeVar("T", bound=Tally)


class Task(Protocol[T]):
    """What is done with every shard of a data set."""

    @property
    def network(self) -> SpikingNetwork:
        """The network that is measured."""
        ...

    def settled(self, first: Shard) -> Task[T]:
        """The task, with what the ``first`` shard settles for all."""
        ...

    def __call__(self, shard: Shard, finished: Callable[[int], object] | None = None) -> T:
        """What is counted on ``shard``; ``finished`` is told of samples as they end."""
        ...


def tallied(task: Task[T], source: Iterator[Shard], passage: Passage, spread: Spread | None) -> T:
    """What ``task`` counts on ``source``, to the last bit the same whoever counts; ``passage`` is told of it.

    Raises ``InputError`` for data that do not fit, and what ``Spread`` raises.
    """
    first = next(source)
    task, whole = task.settled(first), None
    for tally in _counted(task, chain([first], source), passage, spread):
        whole = tally if whole is None else whole.merge(tally)
    passage.end()
    assert whole is not None
    return whole


def _counted(task: Task[T], source: Iterator[Shard], passage: Passage, spread: Spread | None) -> Iterator[T]:
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

    with Shared(task, "the network, the reference or an option") as shared:
        for tally in spread.in_order(_of_shard, shared, noted(), "data"):
            yield tally
            samples, ends_batch = given.popleft()
            passage.samples(samples)
            if ends_batch:
                passage.batch()


@own_surroundings()
def _of_shard(task: Task[T], shard: Shard) -> T:
    return task(shard)
