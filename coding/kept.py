"""Results that are kept for the next call: a bounded number of them, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Kept(Generic[_Arguments, _Result]):
    """``function`` of hashable arguments; its last ``most`` results are kept, and no more than ``limit`` bytes of them.

    ``size`` says what a result takes, in bytes. Those that were asked for the longest time ago go first. Threads may
    share it.
    """

    def __init__(
        self, function: Callable[_Arguments, _Result], most: int, limit: int, size: Callable[[_Result], int]
    ) -> None:
        self._function, self._most, self._limit, self._size = function, most, limit, size
        self._kept: OrderedDict[Hashable, _Result] = OrderedDict()
        self._lock = Lock()
        #: Bytes that all results kept take together.
        self.bytes = 0

    def __call__(self, *arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        key = (arguments, *named.items())
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        result = self._function(*arguments, **named)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = result
                self.bytes += self._size(result)
            while len(self._kept) > self._most or self.bytes > self._limit:
                self.bytes -= self._size(self._kept.popitem(last=False)[1])
        return result

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0
