"""Progress bars of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def batches_with_progress(console: Console, items: Sequence[Item], what: str = "simulating") -> Iterable[Item]:
    """``items`` one by one under a bar that disappears when done; silent where the output is no terminal."""
    return track(items, description=what, console=console, transient=True, disable=not console.is_terminal)
