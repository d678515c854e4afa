"""Parcels of ranks are data: what would call anything is refused before it is made."""

from __future__ import annotations

import copyreg
import os
import pickle
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import torch

import snnconv
from snnconv import RankError, StorageError
from snnconv.learning.spike_metrics import Tally
from snnconv.metrics.calibrated_range import LeftRanges
from snnconv.metrics.judge import Judgement
from snnconv.ranks.parcels import packed, unpacked
from snnconv.spiking.input_range import Filling, Leaving


@dataclass(frozen=True)
class OwnJudgement(Judgement):
    """What a judge of a user's own has found."""

    found: int

    def merge(self, other: Self) -> Self:
        return self

    def figures(self, streams: bool) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True], "b": (b"bytes", "text"), "c": {1, 2}, "d": frozenset("xy")},
        LeftRanges((Leaving((1, 2), 3, 0.5),), {"population": Leaving((4,), 5, 0.0)}, (Filling((0.1,), (0.5,), 3),)),
        Tally([1, 2, 3, 4, 5, 6, 7], False),
        OwnJudgement(7),
    ],
)
def test_data_and_records_arrive(value: Any) -> None:
    assert unpacked(packed(value)) == value


def test_errors_arrive() -> None:
    value, error = unpacked(packed((None, StorageError("no disk"))))
    assert value is None and type(error) is StorageError and str(error) == "no disk"


def test_errors_arrive_beside_libraries_that_have_them_pickled_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """As tblib does, which comes with Dask."""
    monkeypatch.setitem(copyreg.dispatch_table, StorageError, lambda error: (print, (str(error),)))
    assert str(unpacked(packed(StorageError("no disk")))) == "no disk"


class Calling:
    """Pickled as a call of a function, as by whoever wants it to be called elsewhere."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_what_is_no_data_is_refused_and_not_made(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for function, arguments in (
        (os.mkdir, (str(trace),)),
        (subprocess.Popen, (["touch", str(trace)],)),
        (eval, (f"open({str(trace)!r}, 'w')",)),
        (snnconv.Workers, (1,)),
        (snnconv.load, (str(trace),)),
    ):
        with pytest.raises(RankError, match=f"another rank sends .*{function.__name__}, which is no data"):
            unpacked(packed({"figures": [Calling(function, *arguments)]}))
    assert not trace.exists()
    with pytest.raises(RankError, match=r"which is no data: .* tensor.tolist\(\)"):
        unpacked(packed(torch.ones(2)))
    nested = b"\x80\x04\x8c\x0esnnconv.errors\x8c\x18StorageError.__init_subclass__\x93."
    with pytest.raises((RankError, pickle.UnpicklingError)):
        unpacked(nested)
