"""Signs of life: every rank counts on in the store now and then, so that the others know one that is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from torch.distributed.distributed_c10d import Store

#: Signs within the time after which a rank counts as gone.
_SIGNS = 10


class SignsOfLife:
    """Those of ``rank``, one of ``size``, given by a thread until ``end``; after ``patience`` seconds without one a
    rank is gone.

    ``connect`` makes a connection to the store of the thread's own. Work that takes long, of whatever rank, is no
    reason to be gone: the thread goes on beside it.
    """

    def __init__(self, rank: int, size: int, connect: Callable[[], Store], patience: float) -> None:
        self.rank, self.patience = rank, patience
        self._names = [f"alive {each}" for each in range(size)]
        self._seen = [(b"", time.monotonic())] * size
        self._store, self._ended = connect(), threading.Event()
        self._store.set(self._names[rank], "0")
        self._thread = threading.Thread(target=self._give, name="signs of life", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Give no more signs."""
        self._ended.set()
        self._thread.join()

    def gone(self, store: Store) -> list[int]:
        """The ranks that have given no sign for too long, as far as calls of this function could see."""
        now, names = time.monotonic(), [name for name in self._names if store.check([name])]
        for name, sign in zip(names, store.multi_get(names), strict=True):
            place = self._names.index(name)
            if sign != self._seen[place][0]:
                self._seen[place] = (sign, now)
        return [place for place, (_, at) in enumerate(self._seen) if now - at > self.patience and place != self.rank]

    def _give(self) -> None:
        number = 0
        while not self._ended.wait(self.patience / _SIGNS):
            number += 1
            try:
                self._store.set(self._names[self.rank], str(number))
            except RuntimeError:  # the store is gone: the rank itself finds that out where it waits
                return
