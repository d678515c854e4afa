"""Measurements that ranks share: the same figures to the last count, and the same files, for one, two and three."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import snnconv
from coding import Concurrent, OneSpike, Rate
from snnconv.data import batches
from snnconv.ranks import ALONE, Ranks
from tests.support.networks import Perceptron, draw, prepared
from tests.support.ranked import run_ranks, shared_by

MODEL = prepared(Perceptron, torch.float32)
CALIBRATION, INPUTS = draw(40, 6, dtype=torch.float32), draw(50, 6, dtype=torch.float32)
TARGETS = torch.arange(50) % 4


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "PIECE", 3)  # so that 17 of them are dealt out


def evaluated(ranks: Ranks, network: snnconv.SpikingNetwork, size: int = 50) -> Any:
    data = [*zip(INPUTS.split(size), TARGETS.split(size), strict=True)]
    return snnconv.evaluate(network, data, reference=MODEL, ranks=ranks).to_dict()


def swept(ranks: Ranks, path: Path | None, codings: int = 3) -> Any:
    chosen = {f"rate {steps}": Rate(steps) for steps in (2, 4, 6)[:codings]}
    data = (INPUTS, TARGETS.double())  # values, whose errors are sums of squares
    schedule, judge = Concurrent(8), snnconv.ValueJudge()
    model, values = MODEL, data[1].float().unsqueeze(1).expand(-1, 4)
    options = {"schedule": schedule, "judge": judge, "input": "poisson", "path": path}
    return snnconv.sweep(model, CALIBRATION, (INPUTS, values), chosen, ranks=ranks, **options).to_dict()


def test_any_number_of_ranks_measures_the_same_and_goes_on_from_another(tmp_path: Path) -> None:
    poisson = snnconv.convert(MODEL, CALIBRATION, coding=Rate(8), schedule=Concurrent(8), input="poisson")
    pipeline = snnconv.convert(MODEL, CALIBRATION, coding=OneSpike(4))
    figures, table = [evaluated(ALONE, each) for each in (poisson, pipeline)], swept(ALONE, tmp_path / "one.json")

    def work(group: Ranks) -> list[bool]:
        found = [evaluated(group, each, 7) for each in (poisson, pipeline)]
        return [found == figures, swept(group, tmp_path / "many.json") == table]

    swept(ALONE, tmp_path / "many.json", codings=1)
    assert shared_by(2, work, tmp_path) == [[True, True]] * 2
    assert (tmp_path / "many.json").read_bytes() == (tmp_path / "one.json").read_bytes()
    assert shared_by(3, work, tmp_path) == [[True, True]] * 3


def test_other_data_are_told_by_rank_and_samples(tmp_path: Path) -> None:
    network = snnconv.convert(MODEL, CALIBRATION, coding=OneSpike(4))

    def other(group: Ranks) -> None:
        inputs = INPUTS.clone()
        inputs[7] += 0.25 * group.rank
        snnconv.evaluate(network, iter([inputs]), ranks=group)

    assert all(
        "rank 1 has other data than rank 0" in each and "samples 6 to 8: " in each
        for each in shared_by(2, other, tmp_path)
    )

    def fewer(group: Ranks) -> None:
        snnconv.evaluate(network, INPUTS[: 50 - group.rank], ranks=group)

    assert all("number of samples: 49 instead of 50" in each for each in shared_by(2, fewer, tmp_path))

    def elsewhere(group: Ranks) -> None:
        snnconv.evaluate(network, INPUTS, workers=2, ranks=group)

    assert all("leave workers and executor out" in each for each in shared_by(2, elsewhere, tmp_path))


def command(folder: Path, size: int, *arguments: str) -> list[tuple[str, str]]:
    """What ``size`` processes that run a command in ``folder`` write to standard output and standard error."""

    def work(rank: int) -> Any:
        for name in [name for name in sys.modules if name.startswith("snnconv.cli")]:
            del sys.modules[name]  # as in a process that was started with the variables
        import snnconv.cli as fresh

        sys.argv = ["snnconv", *arguments]
        with (
            (folder / f"out {rank}").open("w") as out,
            (folder / f"err {rank}").open("w") as err,
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                fresh.main()
            except SystemExit as error:
                return error.code or 0
        return 0

    found = run_ranks(size, work, folder)
    assert [status for status, _ in found] == [0] * size
    texts = [tuple((folder / f"{name} {rank}").read_text() for name in ("out", "err")) for rank in range(size)]
    return [(out, f"{status}\n{err}") for (_, status), (out, err) in zip(found, texts, strict=True)]


def test_commands_are_shared_and_the_first_process_speaks_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    snnconv.convert(MODEL, CALIBRATION, coding=OneSpike(4)).save("net.snn")
    np.savez("data.npz", inputs=INPUTS.sigmoid().numpy(), targets=TARGETS.numpy())
    tuning = ("tune", "net.snn", "--data", "data.npz", "--epochs", "1", "--batch", "12", "--parts", "3")
    training = ("train", "--data", "data.npz", "--hidden", "5", "--steps", "12", "--last", "6", "--epochs", "1")
    for name, arguments in {
        "evaluate": ("evaluate", "net.snn", "--data", "data.npz", "--json"),
        "tuned": (*tuning, "-o"),
        "trained": (*training, "--batch", "12", "--parts", "3", "-o"),
    }.items():
        ((told, status),) = command(tmp_path, 1, *arguments, f"{name}.1")
        assert status.startswith("0\n")
        (out, first), (silence, second) = command(tmp_path, 2, *arguments, f"{name}.2")
        assert out == told.replace(f"{name}.1", f"{name}.2") and silence == ""
        assert (first[0], second[0]) == ("0", "0")
        contents = [(tmp_path / f"{name}.{size}").read_bytes() for size in (1, 2)]
        if name == "evaluate":
            assert contents[0] == contents[1]
        else:
            one, two = (safetensors.torch.load(each) for each in contents)
            assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
    for arguments, said in (
        (("tune", "net.snn", "--data", "data.npz", "-o", "no.snn"), "rank 1: error: 2 processes share every batch"),
        (("preflight", "own:model"), "rank 1: error: preflight is done by one process, and 2 were started"),
    ):
        assert said in command(tmp_path, 2, *arguments)[1][1]
    assert not (tmp_path / "no.snn").exists()


def test_ranks_that_stop_samples_otherwise_are_refused(tmp_path: Path) -> None:
    network = snnconv.convert(MODEL, CALIBRATION, coding=Rate(8), schedule=Concurrent(8))

    def work(group: Ranks) -> None:
        snnconv.evaluate(network, (INPUTS, TARGETS), stop=snnconv.Confidence(0.5 + 0.1 * group.rank), ranks=group)

    said = "rank 1 has other networks, settings or data than rank 0"
    assert all(said in each for each in shared_by(2, work, tmp_path))
