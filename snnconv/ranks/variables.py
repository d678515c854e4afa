"""What a launcher such as torchrun says of a process: its rank, how many there are, and where they meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snnconv.errors import ConfigurationError

_NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_START = "torchrun --nproc-per-node 2 -m snnconv ... sets all of them"


@dataclass(frozen=True)
class RankVariables:
    """Rank ``rank`` of ``size``, ``local`` on its machine; ``agent`` says that the launcher holds the meeting place.

    ``attempt`` counts the starts of the same work by one launcher, from 0.
    """

    rank: int
    size: int
    host: str
    port: int
    local: int
    agent: bool
    attempt: int


def rank_variables(environment: Mapping[str, str]) -> RankVariables | None:
    """The variables in ``environment``, as torchrun sets them; ``None`` where there are none, or for one process.

    Raises ``ConfigurationError`` where some are missing, or are no such numbers.
    """
    if not environment.get("RANK") and not environment.get("WORLD_SIZE"):
        return None
    given = {name: environment[name] for name in _NAMES if environment.get(name)}
    missing = [name for name in _NAMES if name not in given]
    if missing and not (given.get("WORLD_SIZE") == "1" and given.get("RANK", "0") == "0"):
        raise ConfigurationError(
            f"{', '.join(given)} {'is' if len(given) == 1 else 'are'} set in the environment, {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not; {_START}; unset {', '.join(given)} for one process"
        )
    size = _number("WORLD_SIZE", given.get("WORLD_SIZE", "1"), 1, None)
    rank = _number("RANK", given.get("RANK", "0"), 0, size - 1)
    if size == 1:
        return None
    return RankVariables(
        rank,
        size,
        given["MASTER_ADDR"],
        _number("MASTER_PORT", given["MASTER_PORT"], 1, 2**16 - 1),
        _number("LOCAL_RANK", environment.get("LOCAL_RANK", "0"), 0, None),
        environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        _number("TORCHELASTIC_RESTART_COUNT", environment.get("TORCHELASTIC_RESTART_COUNT", "0"), 0, None),
    )


def _number(name: str, text: str, least: int, most: int | None) -> int:
    if not text.isdecimal() or not least <= int(text) <= (int(text) if most is None else most):
        allowed = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ConfigurationError(f"{name}={text} in the environment must be an integer {allowed}; {_START}")
    return int(text)
