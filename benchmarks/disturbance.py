"""What others take of the processors while something is timed: other processes, and the host of a virtual machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

_FILE = Path("/proc/stat")
#: Columns of the kernel's counters in which a processor was busy: user, nice, system, irq, softirq, stolen by the host.
_BUSY = (0, 1, 2, 5, 6, 7)


def seconds_of_all(counters: str, ticks_per_second: int) -> float:
    """Seconds for which all processors were busy, or taken away, by the first line of the kernel's counters."""
    columns = [int(column) for column in counters.split()[1:]]
    return sum(columns[place] for place in _BUSY if place < len(columns)) / ticks_per_second


class Watch:
    """Counts, from when it is made, what others than this process take of the processors.

    Where the kernel keeps no counters nothing is known to be taken: there only the spread of times tells of others.
    """

    def __init__(self) -> None:
        self._busy, self._own, self._wall = _busy(), time.process_time(), time.perf_counter()

    def share_of_others(self) -> float:
        """The part of all processors' time that others took, from 0 to 1; counted in hundredths of a second."""
        others = (_busy() - self._busy) - (time.process_time() - self._own)
        available = (time.perf_counter() - self._wall) * (os.cpu_count() or 1)
        return min(max(others / available, 0.0), 1.0)


def _busy() -> float:
    if not _FILE.exists():
        return 0.0
    with _FILE.open() as file:
        return seconds_of_all(file.readline(), os.sysconf("SC_CLK_TCK"))
