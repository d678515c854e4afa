"""Agreement: what must be the same on all ranks for their results to belong together, compared before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from snnconv.errors import RankError
from snnconv.version import __version__


def surroundings_text() -> dict[str, str]:
    """What results depend on to the last bit beside arguments: versions, instructions and threads of a process."""
    return {
        "version of snnconv": __version__,
        "version of torch": str(torch.__version__),
        "instructions of the processor": torch.backends.cpu.get_cpu_capability(),
        "number of threads": str(torch.get_num_threads()),
    }


def check_agreement(what: str, found: Sequence[Mapping[str, str]]) -> None:
    """Raise ``RankError``, with rank and name, unless the facts ``found``, by rank, are all the same."""
    first = found[0]
    for rank, facts in enumerate(found):
        differing = [name for name in {**first, **facts} if facts.get(name) != first.get(name)]
        if differing:
            told = "; ".join(f"{name}: {_short(facts, name)} instead of {_short(first, name)}" for name in differing)
            raise RankError(
                f"rank {rank} has other {what} than rank 0, and their results would not belong together: {told}"
            )


def _short(facts: Mapping[str, str], name: str) -> str:
    text = facts.get(name, "none")
    return text if len(text) <= 80 else f"{text[:77]}..."
