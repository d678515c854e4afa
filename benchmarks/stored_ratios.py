"""The ratios that were published last, by processor and threads, and which of those found now are worse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.timing import Quartiles

FILE = Path(__file__).parent / "ratios.json"
#: A ratio of costs that is this much above the stored one is flagged: speed then fell by over 20 %.
MOST_RISE = 1 / 0.8


class SpeedFell(RuntimeError):
    """Some of our ratios are worse than those that were published last."""


def stored(machine: str, threads: int, file: Path = FILE) -> dict[str, float]:
    """The ratios of costs of this machine, by name; none where none were stored."""
    if not file.exists():
        return {}
    found: dict[str, float] = json.loads(file.read_text()).get(_key(machine, threads), {})
    return found


def store(machine: str, threads: int, ratios: Mapping[str, float], file: Path = FILE) -> None:
    """Keep ``ratios`` in place of those of this machine; those of others stay."""
    content = json.loads(file.read_text()) if file.exists() else {}
    content[_key(machine, threads)] = {name: float(f"{ratio:.3g}") for name, ratio in ratios.items()}
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def check_stored(machine: str, ratios: Mapping[int, Mapping[str, Quartiles]], file: Path = FILE) -> None:
    """Compare ``ratios``, by number of threads, with those stored for this machine, or store them where none are.

    To store others, take the machine's out of the file. Raises ``SpeedFell`` with what is slower.
    """
    worse = []
    for threads, found in ratios.items():
        before = stored(machine, threads, file)
        worse += [f"{_key(machine, threads)}: {line}" for line in slower(found, before)]
        if not before:
            store(machine, threads, {name: each.median for name, each in found.items()}, file)
    if worse:
        raise SpeedFell("\n".join(worse))


def slower(found: Mapping[str, Quartiles], before: Mapping[str, float], most: float = MOST_RISE) -> list[str]:
    """What is said of every cost that rose by more than ``most`` times; what was not stored is not judged."""
    return [
        f"{name}: {ratio}, stored {before[name]:.3g}: {100 * (1 - before[name] / ratio.median):.0f} % slower"
        for name, ratio in found.items()
        if name in before and ratio.median > most * before[name]
    ]


def _key(machine: str, threads: int) -> str:
    return f"{machine}, {threads} thread{'s' if threads > 1 else ''}"
