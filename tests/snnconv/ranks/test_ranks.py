"""Ranks: what they exchange, and how they end where one is gone, fails, or is another's."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from snnconv import ConfigurationError, SnnconvError, StorageError
from snnconv.ranks import ALONE, Ranks, agreement, ranks
from snnconv.ranks.variables import RankVariables, rank_variables
from tests.support.ranked import free_port, run_ranks, shared_by, variables

COMPLETE = variables(1, 3, 29500)


def test_what_torchrun_sets_is_read() -> None:
    assert rank_variables({}) is None
    assert rank_variables({"MASTER_ADDR": "here"}) is None, "a cluster may set it for all"
    assert rank_variables(variables(0, 1, 29500)) is None
    assert rank_variables({"WORLD_SIZE": "1"}) is None
    assert rank_variables(COMPLETE) == RankVariables(1, 3, "127.0.0.1", 29500, 0, False, 0)
    more = {"LOCAL_RANK": "2", "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "4"}
    assert rank_variables(COMPLETE | more) == RankVariables(1, 3, "127.0.0.1", 29500, 2, True, 4)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"WORLD_SIZE": ""}, "RANK, MASTER_ADDR, MASTER_PORT are set in the environment, WORLD_SIZE is not"),
        ({"RANK": ""}, "RANK is not"),
        ({"MASTER_ADDR": "", "MASTER_PORT": ""}, "MASTER_ADDR, MASTER_PORT are not"),
        ({"RANK": "3"}, "RANK=3 in the environment must be an integer from 0 to 2"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0 in the environment must be an integer at least 1"),
        ({"MASTER_PORT": "http"}, "MASTER_PORT=http"),
        ({"LOCAL_RANK": "-1"}, "LOCAL_RANK=-1"),
    ],
)
def test_variables_that_say_half_are_refused(changed: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        rank_variables(COMPLETE | changed)


def test_one_that_is_alone_does_it_all() -> None:
    with ranks(environment={}) as group:
        assert (group.rank, group.size) == (0, 1)
    values = torch.tensor([1, 2])
    ALONE.add("nothing", values)
    assert values.tolist() == [1, 2]
    assert ALONE.mapped("squares", lambda number: number**2, range(4)) == [0, 1, 4, 9]
    assert ALONE.gather("", 1) == [1]
    with pytest.raises(StorageError):
        ALONE.first("", _fail)


def test_ranks_come_to_the_same(tmp_path: Path) -> None:
    large = os.urandom(10_000_000)  # more than the store takes at once

    def work(group: Ranks) -> Any:
        largest = torch.tensor([1.0 * group.rank, -5.0], dtype=torch.float64)
        total = torch.tensor([2**40 + group.rank, -group.rank])
        group.largest("largest", largest)
        group.add("sum", total)
        try:
            group.first("an error", _fail)
        except SnnconvError as error:
            refused = str(error)
        return (
            group.gather("ranks", group.rank),
            group.first("content", lambda: large) == large,
            group.mapped("squares", lambda number: number**2, range(7)),
            largest.tolist(),
            total.tolist(),
            refused,
        )

    found = shared_by(3, work, tmp_path)
    assert found == [([0, 1, 2], True, [0, 1, 4, 9, 16, 25, 36], [2.0, -5.0], [3 * 2**40 + 3, -3], "no disk")] * 3


def _fail() -> None:
    raise StorageError("no disk")


def test_a_rank_that_is_killed_ends_all_with_its_name(tmp_path: Path) -> None:
    def work(group: Ranks) -> None:
        group.gather("the start", None)
        if group.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        group.gather("the sums", None)

    def of_rank(rank: int) -> Any:
        with ranks(patience=1.5) as group:
            work(group)

    began = time.monotonic()
    found = run_ranks(3, of_rank, tmp_path)
    assert time.monotonic() - began < 60.0
    assert [status for status, _ in found] == [0, -signal.SIGKILL, 0]
    for rank in (0, 2):
        assert "rank 1" in found[rank][1] and found[rank][1].startswith("RankError: ")
    assert "rank 1 of 3 gave no sign of life for 1.5 s at 'the sums'" in found[0][1] + found[2][1]


def test_the_rank_that_holds_the_store_is_missed_as_well(tmp_path: Path) -> None:
    def of_rank(rank: int) -> Any:
        with ranks(patience=1.5) as group:
            group.gather("the start", None)
            if rank == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            group.gather("the sums", None)

    (status, _), (_, told) = run_ranks(2, of_rank, tmp_path)
    assert status == -signal.SIGKILL
    assert re.search("which rank 0 holds, is gone at 'the (start|sums)'", told), "the one may still read the start"


def test_what_takes_long_is_waited_for(tmp_path: Path) -> None:
    def work(group: Ranks) -> list[int]:
        if group.rank == 1:
            time.sleep(1.5)
        return group.gather("the end of long work", group.rank)

    assert shared_by(2, work, tmp_path, patience=0.5) == [[0, 1]] * 2


def test_errors_end_all_and_say_whose_they_are(tmp_path: Path) -> None:
    def failing(group: Ranks) -> None:
        if group.rank == 1:
            raise ValueError("no such picture")
        group.gather("pictures", None)

    assert shared_by(2, failing, tmp_path) == [
        "RankError: rank 1: no such picture (rank 0 was at 'pictures')",
        "ValueError: no such picture",
    ]

    def apart(group: Ranks) -> None:
        group.gather(f"step {group.rank}", None)

    told = shared_by(2, apart, tmp_path)
    assert any("rank 1 is at 'step 1' while rank 0 is at 'step 0'" in each for each in told)

    def early(group: Ranks) -> None:
        if group.rank == 0:
            group.gather("one more step", None)

    assert any("while rank" in each or "has ended" in each for each in shared_by(2, early, tmp_path))


def test_ranks_of_another_kind_are_told_by_rank_and_by_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_rank(rank: int) -> None:
        if rank == 1:
            monkeypatch.setattr(agreement, "__version__", "0.0.1")
        with ranks(patience=5.0):
            pass

    for _, told in run_ranks(2, of_rank, tmp_path):
        assert "rank 1 has other versions and processors than rank 0" in told
        assert "version of snnconv: 0.0.1 instead of " in told

    def work(group: Ranks) -> None:
        group.agree("data", {"data": "ab" * (1 + group.rank), "network": "same"})

    assert all(
        "rank 1 has other data than rank 0" in each and "abab instead of ab" in each
        for each in shared_by(2, work, tmp_path)
    )


def test_a_meeting_place_that_cannot_be_used_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigurationError, match=f"port {port} of this machine is in use"),
            ranks(environment=variables(0, 2, port)),
        ):
            pass


def test_ranks_that_do_not_come_are_named() -> None:
    with (
        pytest.raises(SnnconvError, match=r"ranks 1, 2 of 3 did not come to .* within 0.3 s"),
        ranks(environment=variables(0, 3, free_port()), arrival=0.3),
    ):
        pass


def test_a_backend_that_torch_lacks_is_refused() -> None:
    with (
        pytest.raises(ConfigurationError, match="was built without the backend 'mpi'"),
        ranks(environment=variables(0, 2, free_port()), backend="mpi"),
    ):
        pass
