"""Ranks of the tests: children that share work over a port of this machine, as torchrun starts them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from snnconv.ranks import Ranks, ranks
from tests.support.children import ended, started


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def variables(rank: int, size: int, port: int) -> dict[str, str]:
    return {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def run_ranks(size: int, work: Callable[[int], Any], folder: Path) -> list[tuple[int, Any]]:
    """The exit status of each of ``size`` children that do ``work``, and what it returned, or the error in words.

    The variables of a launcher are set in each.
    """
    port = free_port()

    def child(rank: int) -> Callable[[], None]:
        def run() -> None:
            torch.set_num_threads(1)
            os.environ.update(variables(rank, size, port))
            try:
                found = work(rank)
            except BaseException as error:
                found = f"{type(error).__name__}: {error}"
            torch.save(found, folder / f"found {rank}")

        return run

    for rank in range(size):
        (folder / f"found {rank}").unlink(missing_ok=True)
    children = [started(child(rank)) for rank in range(size)]
    statuses = [ended(each) for each in children]
    files = [folder / f"found {rank}" for rank in range(size)]
    return [
        (status, torch.load(file, weights_only=False) if file.exists() else None)
        for status, file in zip(statuses, files, strict=True)
    ]


def shared_by(size: int, work: Callable[[Ranks], Any], folder: Path, patience: float = 20.0) -> list[Any]:
    """What ``work`` returned on every one of ``size`` ranks, or its error in words."""

    def of_rank(rank: int) -> Any:
        with ranks(patience=patience, arrival=60.0) as group:
            return work(group)

    found = run_ranks(size, of_rank, folder)
    assert [status for status, _ in found] == [0] * size
    return [value for _, value in found]
