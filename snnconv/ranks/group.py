"""Ranks as one group: what they gather, what the first makes for all, work that is dealt out, sums, and agreement."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, distributed

from snnconv.errors import ConfigurationError, SnnconvError
from snnconv.ranks.agreement import check_agreement, surroundings_text
from snnconv.ranks.parcels import packed, unpacked
from snnconv.ranks.variables import rank_variables

if TYPE_CHECKING:
    from snnconv.ranks.link import Link
    from snnconv.ranks.reductions import Reductions

Item = TypeVar("Item")
Made = TypeVar("Made")

#: Seconds without a sign of life after which a rank counts as gone, and those that ranks are waited for at the start.
PATIENCE, ARRIVAL = 20.0, 300.0


class Ranks:
    """The ``size`` processes that share work; this one is number ``rank``, from 0. Without a ``link`` it is alone.

    All ranks make the same calls in the same order, and all results are the same on every rank. A call raises
    ``RankError`` where a rank is gone, has failed, or is at another call. ``device`` is where this rank computes.
    """

    def __init__(self, device: torch.device, link: Link | None = None, reductions: Reductions | None = None) -> None:
        self._link, self._reductions, self.device = link, reductions, device
        self.rank, self.size = (0, 1) if link is None else (link.rank, link.size)

    def gather(self, what: str, value: Any) -> list[Any]:
        """The ``value`` of every rank, by rank: plain data, or a record of the project (``snnconv.ranks.parcels``)."""
        if self._link is None:
            return [value]
        return [unpacked(each) for each in self._link.exchange(what, packed(value))]

    def agree(self, what: str, facts: Mapping[str, str]) -> None:
        """Raise ``RankError``, with rank and name, unless the ``facts`` of ``what`` are the same on all ranks."""
        if self._link is not None:
            check_agreement(what, self.gather(f"comparing {what}", dict(facts)))

    def first(self, what: str, made: Callable[[], Made]) -> Made:
        """What ``made`` makes on rank 0, or the error of the project that it raises there, on every rank."""
        if self._link is None:
            return made()
        value: Any = None
        error: SnnconvError | None = None
        if self.rank == 0:
            try:
                value = made()
            except SnnconvError as found:
                error = found
        value, error = self.gather(what, (value, error))[0]
        if error is not None:
            raise error
        found_value: Made = value
        return found_value

    def mapped(self, what: str, function: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
        """``function`` of every item, in their order; rank r takes the items r, r + size, and so on."""
        mine = [function(item) for item in items[self.rank :: self.size]]
        if self._link is None:
            return mine
        parts = self.gather(what, mine)
        return [parts[place % self.size][place // self.size] for place in range(len(items))]

    def largest(self, what: str, values: Tensor) -> None:
        """Put, in place, the largest of all ranks at every place of ``values``, which are no NaN."""
        if self._reductions is not None:
            self._reductions.largest(what, values)

    def add(self, what: str, values: Tensor) -> None:
        """Put, in place, the sum over all ranks at every place of ``values``, which are integers."""
        if self._reductions is not None:
            self._reductions.add(what, values)

    def close(self) -> None:
        """Part from the others, who have come to the end as well."""
        if self._reductions is not None:
            self._reductions.close()
        if self._link is not None:
            self._link.leave()


#: The ranks of a process that shares its work with no other.
ALONE = Ranks(torch.device("cpu"))


@contextmanager
def ranks(
    device: str | torch.device = "cpu",
    *,
    backend: str | None = None,
    patience: float = PATIENCE,
    arrival: float = ARRIVAL,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Ranks]:
    """The ranks that torchrun has started, or other launchers that set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT.

    Without these variables, and for a single process, it is one rank that is alone. What one rank raises in here ends
    all of them. Ranks read from each other nothing but data, but whoever can reach the address can take part, and
    torchrun unpickles what it finds there: keep it within a network that you trust.

    Args:
        device: Where ranks compute; "cuda" is the GPU of each rank's place on its machine, LOCAL_RANK.
        backend: What gradients are added by, "gloo" or "nccl"; by default nccl on a GPU and gloo elsewhere.
        patience: Seconds without a sign of life after which a rank counts as gone; work that takes long is no reason.
        arrival: Seconds that ranks are waited for at the start.
        environment: The variables, instead of the process's own.

    Raises:
        ConfigurationError: Variables are missing or no numbers, the port is in use, or torch lacks the backend.
        RankError: A rank does not come, is gone, has failed, or has other versions or numbers of threads.
    """
    found = rank_variables(os.environ if environment is None else environment)
    if not patience > 0.0 or not arrival > 0.0:
        raise ConfigurationError(f"patience {patience} and arrival {arrival} must be positive numbers of seconds")
    own = torch.device(device)
    if found is None:
        yield Ranks(own)
        return
    if not distributed.is_available():
        raise ConfigurationError(f"torch {torch.__version__} was built without torch.distributed, which ranks need")
    from snnconv.ranks.link import Link
    from snnconv.ranks.reductions import Reductions, backend_for

    if own.type == "cuda" and own.index is None:
        own = torch.device("cuda", found.local)
    chosen = backend_for(own, backend)
    link = Link(found, patience, arrival)
    try:
        group = Ranks(own, link, Reductions(link, own, chosen))
        group.agree("versions and processors", surroundings_text())
        yield group
        group.gather("the end", None)
    except BaseException as error:
        link.fail(str(error) or type(error).__name__)
        raise
    group.close()


def check_share(ranks: Ranks, count: int, what: str) -> None:
    """Raise ``ConfigurationError`` where there are more ranks than ``count`` of ``what`` to share."""
    if ranks.size > count:
        raise ConfigurationError(f"there are {ranks.size} ranks for {count} {what}: start at most {count}")
