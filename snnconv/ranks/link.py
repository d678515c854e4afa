"""The link between ranks: they meet in a store that one of them, or their launcher, holds, and exchange bytes there."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore, Store

from snnconv.errors import ConfigurationError, RankError
from snnconv.ranks.signs_of_life import SignsOfLife
from snnconv.ranks.variables import RankVariables

#: How long a rank that waits sleeps between looks at the store, at first and at most, and looks at the others' state.
_FIRST_SLEEP, _LONGEST_SLEEP, _LOOK = 1e-4, 0.02, 0.5
#: Bytes that are put into the store at once, which takes no more than 8 MiB.
_PIECE = 2**22
_FAILED = "failed"


class Link:
    """The link of the rank that ``variables`` name to the others, which are waited for up to ``arrival`` seconds.

    A rank without a sign of life for ``patience`` seconds counts as gone. Raises ``RankError`` where the others do not
    come, and ``ConfigurationError`` where their meeting place cannot be used.
    """

    def __init__(self, variables: RankVariables, patience: float, arrival: float) -> None:
        self.variables, self.rank, self.size = variables, variables.rank, variables.size
        self._place, self._number = f"{variables.host}:{variables.port}", 0
        self._before: list[str] = []
        self._holds = variables.rank == 0 and not variables.agent
        #: Seconds that one answer of the store may take.
        self._answer = max(2.0, patience)
        self.store = self._connected(self._holds, arrival)
        with self._explained("the start"):
            self._signs = SignsOfLife(self.rank, self.size, lambda: self._connected(False, arrival), patience)
        try:
            self._meet(arrival)
        except BaseException:
            self._end()
            raise

    def _meet(self, arrival: float) -> None:
        """Wait for the others."""
        names = [f"here {rank}" for rank in range(self.size)]
        with self._explained("the start"):
            self.store.set(names[self.rank], "")
            if not self._there(names, time.monotonic() + arrival):
                missing = [rank for rank, name in enumerate(names) if not self.store.check([name])]
                raise RankError(
                    f"{_ranks(missing)} of {self.size} did not come to {self._place} within {arrival:g} s: start all "
                    "of them at once, with the same address"
                )

    def exchange(self, what: str, content: bytes) -> list[bytes]:
        """The ``content`` of every rank, by rank, once all have come to the same exchange, ``what`` in words.

        Raises ``RankError`` where a rank is gone, has failed, or is at something else.
        """
        with self._explained(what):
            own = self._put(what, content)
            names = [f"{self._number} {rank}" for rank in range(self.size)]
            self._await(names, what)
            heads = [bytes(each).decode().partition(" ") for each in self.store.multi_get(names)]
            for name in self._before:  # everybody has read what came before
                self.store.delete_key(name)
            self._before, self._number = own, self._number + 1
            for rank, (_, _, other) in enumerate(heads):
                if other != what:
                    raise RankError(
                        f"rank {rank} is at {other!r} while rank {self.rank} is at {what!r}: all ranks have to make "
                        "the same calls in the same order"
                    )
            return [
                b"".join(bytes(self.store.get(f"{name} {place}")) for place in range(int(count)))
                for name, (count, _, _) in zip(names, heads, strict=True)
            ]

    def _put(self, what: str, content: bytes) -> list[str]:
        """Put ``content`` into the store, in pieces that it takes; the names of all that was put."""
        head = f"{self._number} {self.rank}"
        pieces = [content[start : start + _PIECE] for start in range(0, len(content), _PIECE)]
        names = [f"{head} {place}" for place in range(len(pieces))]
        for name, piece in zip(names, pieces, strict=True):
            self.store.set(name, piece)  # type: ignore[arg-type] # bytes are taken, too
        self.store.set(head, f"{len(pieces)} {what}")
        return [*names, head]

    def broken(self, what: str, error: object) -> RankError:
        """Why ``what``, which the ranks do together, broke off with ``error``; waits until it is known who is gone."""
        deadline = time.monotonic() + self._signs.patience * 1.5
        with self._explained(what):
            while time.monotonic() < deadline:
                self._look(what)
                time.sleep(_LONGEST_SLEEP)
        return RankError(f"{what} broke off: {str(error).splitlines()[0]}")

    def fail(self, why: str) -> None:
        """Tell the others that this rank ends with an error."""
        with suppress(RuntimeError):  # the others find out that the store is gone
            self.store.compare_set(_FAILED, "", f"rank {self.rank}: {why}")
        self.leave(2.0 * _LOOK)

    def leave(self, wait: float | None = None) -> None:
        """End the link; a rank that holds the store stays until all have left, at most ``wait`` seconds if given."""
        names = [f"left {rank}" for rank in range(self.size)]
        with suppress(RuntimeError, RankError):  # what others come to is told by them
            self.store.set(names[self.rank], "")
            if self._holds and wait is not None:
                self._there(names, time.monotonic() + wait)
            elif self._holds:
                self._await(names, "the end")
        self._end()

    def _end(self) -> None:
        self._signs.end()
        del self.store  # with whose last owner the port is free again

    def _connected(self, holds: bool, arrival: float) -> Store:
        try:
            store = distributed.TCPStore(  # type: ignore[attr-defined] # it is public, and not said to be
                self.variables.host,
                self.variables.port,
                None,
                holds,
                timeout=datetime.timedelta(seconds=arrival),
                wait_for_workers=False,
            )
        except RuntimeError as error:
            if holds and "EADDRINUSE" in str(error):
                raise ConfigurationError(
                    f"port {self.variables.port} of this machine is in use, so that ranks cannot meet there: give "
                    "another one, such as torchrun --master-port 29501 or MASTER_PORT=29501"
                ) from error
            if holds:
                raise ConfigurationError(f"ranks cannot meet at {self._place}: {_line(error)}") from error
            raise RankError(f"rank {self.rank} cannot reach the others at {self._place}: {_line(error)}") from error
        store.set_timeout(datetime.timedelta(seconds=self._answer))
        return PrefixStore(f"snnconv {self.variables.attempt}", store)

    def _await(self, names: list[str], what: str) -> None:
        while not self._there(names, time.monotonic() + _LOOK):
            self._look(what)
            self._signs_of(names, what)

    def _there(self, names: list[str], until: float) -> bool:
        """Whether all ``names`` are in the store, which is waited for."""
        sleep = _FIRST_SLEEP
        while not self.store.check(names):
            if time.monotonic() > until:
                return False
            time.sleep(sleep)
            sleep = min(2.0 * sleep, _LONGEST_SLEEP)
        return True

    def _look(self, what: str) -> None:
        """Raise ``RankError`` where a rank has failed or is gone."""
        if self.store.check([_FAILED]):
            raise RankError(f"{self.store.get(_FAILED).decode()} (rank {self.rank} was at {what!r})")
        gone = [rank for rank in self._signs.gone(self.store) if not self.store.check([f"left {rank}"])]
        if gone:
            raise RankError(
                f"{_ranks(gone)} of {self.size} gave no sign of life for {self._signs.patience:g} s at {what!r}: it "
                "was killed, or its machine is down or cannot be reached"
            )

    def _signs_of(self, names: list[str], what: str) -> None:
        """Raise ``RankError`` where a rank has left that is still waited for."""
        for rank, name in enumerate(names):
            if not self.store.check([name]) and self.store.check([f"left {rank}"]):
                raise RankError(f"rank {rank} has ended while rank {self.rank} waits for it at {what!r}")

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except distributed.DistError as error:
            held = "their launcher" if self.variables.agent else "rank 0"
            raise RankError(
                f"the store at {self._place}, which {held} holds, is gone at {what!r}: {held} has ended, was killed, "
                f"or is on a machine that cannot be reached ({_line(error)})"
            ) from error


def _ranks(found: list[int]) -> str:
    return f"rank{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]
