"""Commands whose work processes share that torchrun starts: all compute, the first alone speaks and writes."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snnconv.ranks import Ranks

#: The commands that do.
SHARED = ("evaluate", "sweep", "tune", "train", "train-detector")


@contextmanager
def shared(device: str = "cpu") -> Iterator[Ranks]:
    """The ranks of a command, which all got the same arguments; one that is alone where torchrun has started none."""
    from snnconv.ranks import ranks  # with torch, which help and completion do without

    with ranks(device) as found:
        found.agree("arguments", {"arguments": shlex.join(sys.argv[1:])})
        if found.rank:  # what the library warns of is said once
            logging.getLogger("snnconv").setLevel(logging.ERROR)
        yield found


def check_shared(command: str | None) -> None:
    """Raise ``ConfigurationError`` where several processes were started for a ``command`` that is done by one."""
    size = os.environ.get("WORLD_SIZE", "")
    if command not in SHARED and os.environ.get("RANK") and size.isdecimal() and int(size) > 1:
        from snnconv.errors import ConfigurationError

        raise ConfigurationError(
            f"{command} is done by one process, and {size} were started: run it without torchrun; several processes "
            f"share {', '.join(SHARED)}"
        )
