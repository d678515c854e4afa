"""Kills: whatever writes is killed at random moments, again and again, and must come to what it comes to without.

Children of one warm process do the work; half of the kills come at a moment of their processor's time, half at a call
of the system that creates, writes, moves or removes a file. After every kill what lies there must be whole, after the
next run equal to what an undisturbed one leaves, and nothing else beside it.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

import snnconv
from coding import FewSpike, Rate
from hw_export.integers.quantization import quantize
from hw_export.lava.bundle import write_bundle
from snnconv.detection.darknet import load_darknet, save_weights
from snnconv.detection.shapes import draw_shapes
from snnconv.detection.training import train_detector
from snnconv.storage.atomic import write_whole
from snnconv.storage.signed import read_signed
from snnconv.text import table
from tests.snnconv.detection.test_training import MICRO
from tests.snnconv.learning.training_runs import trained
from tests.support.children import ended, started
from tests.support.conversion import converted
from tests.support.networks import make

#: Kills in a row, at most, before a run is left to come to its end.
_IN_A_ROW = 8
#: Calls of the system at which a process may be killed.
_CALLS = ("open", "write", "fsync", "replace", "unlink", "close")
_LOOK_SECONDS = 0.001
_SLOWEST_SECONDS = 120.0

Files = dict[str, bytes]


@dataclass(frozen=True)
class Operation:
    """What writes files into a folder, which may hold those of a run before, and what says that a file is whole."""

    run: Callable[[Path], object]
    #: Leaves what a run before has left, such as an older network, and makes ready what children need not make again.
    before: Callable[[Path], object] = lambda folder: None
    #: Raises for a file that is not whole; without it a file must be as before or as afterwards.
    check: Callable[[Path], object] | None = None


@functools.cache
def _network(steps: int) -> snnconv.SpikingNetwork:
    return converted("deep", lambda: make("deep", dtype=torch.float32), coding=FewSpike(steps))


@functools.cache
def _integers(steps: int) -> Any:
    return quantize(_network(steps), input_bits=8)


def _sweep(folder: Path) -> None:
    model, x = make("perceptron", samples=30, dtype=torch.float32)
    codings = {f"rate {steps}": Rate(steps) for steps in (2, 3, 4)}
    snnconv.sweep(model, x, (x, torch.zeros(len(x), dtype=torch.int64)), codings, path=folder / "sweep.json")


def _learn(folder: Path) -> None:
    network, _ = trained(epochs=3, checkpoint=folder / "run")
    _keep(folder, network.state_dict())


def _tune(folder: Path) -> None:
    x = make("deep", samples=48, dtype=torch.float32)[1]
    tuned = snnconv.tune(_network(4), x, epochs=3, batch=16, checkpoint=folder / "run")
    tuned.save(folder / "tuned.snn")


def _detect(folder: Path) -> None:
    config = folder.parent / "micro.cfg"
    config.write_text(MICRO)
    network = load_darknet(config)
    train_detector(network, draw_shapes(8, seed=0), epochs=3, batch=4, checkpoint=folder / "run")
    save_weights(network, folder / "net.weights")


def _keep(folder: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    digits = {name: tensor.tolist() for name, tensor in tensors.items()}
    write_whole(folder / "weights.json", json.dumps(digits).encode())


def _readable(path: Path) -> None:
    """Raise for a file on the way that is not whole."""
    if path.name == "sweep.json":
        snnconv.Sweep.load(path)
    else:
        read_signed(path, lambda metadata: int(metadata["version"]))


OPERATIONS = {
    "save": Operation(
        lambda folder: _network(4).save(folder / "network.snn"),
        lambda folder: (_network(4), _network(3).save(folder / "network.snn")),
    ),
    "sweep": Operation(_sweep, check=_readable),
    "learning": Operation(_learn, check=_readable),
    "tuning": Operation(_tune, lambda folder: _network(4), _readable),
    "detector training": Operation(_detect, check=_readable),
    "Lava export": Operation(
        lambda folder: write_bundle(_integers(4), folder / "bundle.npz"),
        lambda folder: (_integers(4), write_bundle(_integers(3), folder / "bundle.npz")),
    ),
}


@dataclass
class KillTally:
    """What became of an operation: kills by processor's time and by calls, runs that ended, and what was wrong."""

    by_time: int = 0
    by_call: int = 0
    with_remains: int = 0
    runs: int = 0
    equal: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nobody kills leaves, beginning and end, and what it takes in seconds and calls."""

    before: Files
    after: Files
    seconds: float
    calls: int


def files_in(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def content_of(data: bytes | None) -> object:
    """What a file says: names in the head of safetensors come in another order each time."""
    if data is None:
        return None
    length = 8 + int.from_bytes(data[:8], "little")
    if data[8:9] == b"{" and length <= len(data):
        return json.loads(data[8:length]), data[length:]
    if data.startswith(b"PK"):
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: content_of(arrays[name].tobytes()) for name in arrays.files}
    return data


def differing(files: Files, others: Files) -> list[str]:
    """The names of those that are in one of both alone, or differ."""
    return sorted(name for name in {*files, *others} if content_of(files.get(name)) != content_of(others.get(name)))


def undisturbed(operation: Operation, folder: Path) -> Undisturbed:
    """Do ``operation`` in a child, undisturbed, in the empty ``folder``."""
    folder.mkdir()
    operation.before(folder)
    before, counted = files_in(folder), folder.with_suffix(".calls")

    def work() -> None:
        made = _counting(lambda _: None)
        operation.run(folder)
        counted.write_text(f"{time.process_time()} {made()}")

    if ended(started(work)):
        raise RuntimeError("an undisturbed run has failed")
    seconds, calls = counted.read_text().split()
    return Undisturbed(before, files_in(folder), float(seconds), int(calls))


@dataclass(frozen=True)
class Moment:
    """When a child is killed: after so many seconds of its processor's time, or at so many calls; or never."""

    seconds: float | None = None
    call: int | None = None


def _child(work: Callable[[Path], object], folder: Path, moment: Moment) -> bool:
    """Do ``work`` in a child; whether it was killed on the way. Raises ``RuntimeError`` where it fails by itself."""

    def run() -> None:
        if moment.call is not None:
            _counting(lambda calls: os.kill(os.getpid(), signal.SIGKILL) if calls == moment.call else None)
        work(folder)

    child = started(run)
    if moment.seconds is not None:
        clock, latest = (~child << 3) | 2, time.monotonic() + _SLOWEST_SECONDS  # the clock of the child's process
        while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.clock_gettime(clock) >= moment.seconds or time.monotonic() > latest:
                os.kill(child, signal.SIGKILL)
                break
            time.sleep(_LOOK_SECONDS)
    status = ended(child)
    if status not in (0, -signal.SIGKILL):
        raise RuntimeError(f"a run has failed with {status}; its traceback is above")
    return status != 0


def _counting(told: Callable[[int], object]) -> Callable[[], int]:
    """Tell the number of every call of ``_CALLS`` in this process before it is made; how many there were."""
    made = [0]

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            made[0] += 1
            told(made[0])
            return original(*arguments, **options)

        return call

    for name in _CALLS:
        setattr(os, name, counted(getattr(os, name)))
    return lambda: made[0]


def chain(operation: Operation, known: Undisturbed, folder: Path, random: Random, tally: KillTally) -> None:
    """Kill runs of ``operation`` in the empty ``folder``, let the last come to its end, and add up what was found."""
    folder.mkdir()
    for name, content in known.before.items():
        (folder / name).write_bytes(content)
    for _ in range(random.randint(1, _IN_A_ROW)):
        by_time = random.random() < 0.5
        seconds, call = random.uniform(0.0, known.seconds), random.randint(1, known.calls)
        if not _child(operation.run, folder, Moment(seconds if by_time else None, None if by_time else call)):
            break  # it had less to do than an undisturbed run, and came to its end
        tally.by_time, tally.by_call = tally.by_time + by_time, tally.by_call + (not by_time)
        _look(operation, known, folder, tally)
    else:
        _child(operation.run, folder, Moment())
    wrong = differing(files_in(folder), known.after)
    tally.runs += 1
    tally.equal += not wrong
    if wrong:
        tally.faults.append(f"after the last run {', '.join(wrong)} is not as it was to be")


def _look(operation: Operation, known: Undisturbed, folder: Path, tally: KillTally) -> None:
    """See whether a kill left whole files and at most the two of ours that the next write removes."""
    hidden = {path.name for path in folder.iterdir() if path.name.startswith(".snnconv-")}
    tally.with_remains += bool(hidden)
    if len(hidden) > 2:
        tally.faults.append(f"kills pile up: {', '.join(sorted(hidden))}")
    for name, content in files_in(folder).items():
        if name in hidden:
            continue
        try:
            told = content_of(content)
            if told in (content_of(known.before.get(name)), content_of(known.after.get(name))):
                continue
            if operation.check is None:
                raise ValueError("it is neither as before nor as afterwards")
            operation.check(folder / name)
        except Exception as error:
            tally.faults.append(f"after a kill {name}: {type(error).__name__}: {error}")


def report(tallies: Mapping[str, KillTally]) -> str:
    """The tallies as a table, and what was wrong."""
    head = ["operation", "kills", "by time", "by call", "left something", "runs", "equal, nothing beside", "faults"]
    rows = []
    for name, each in tallies.items():
        kills, wrong = each.by_time + each.by_call, len(each.faults)
        rows.append([name, kills, each.by_time, each.by_call, each.with_remains, each.runs, each.equal, wrong])
    rows.append(["all", *(sum(row[place] for row in rows) for place in range(1, len(head)))])  # type: ignore[misc]
    faults = [f"{name}: {fault}" for name, each in tallies.items() for fault in each.faults]
    return "\n".join([table(head, [[str(cell) for cell in row] for row in rows]), *faults])


def main(arguments: list[str]) -> int:
    """Kill for so many seconds, going on where the results stop; 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="kills", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path(".fuzz", "kills.json"))
    options = parser.parse_args(arguments)
    began, number, tallies = time.monotonic(), 0, {name: KillTally() for name in OPERATIONS}
    if options.results.exists():
        content = json.loads(options.results.read_text())
        if content["seed"] == options.seed:
            number, found = content["chains"], content["operations"]
            tallies |= {name: KillTally(**found[name]) for name in OPERATIONS if name in found}
    options.results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        known = {name: undisturbed(each, Path(place, f"u{i}")) for i, (name, each) in enumerate(OPERATIONS.items())}
        while time.monotonic() - began < options.seconds:
            name = list(OPERATIONS)[number % len(OPERATIONS)]
            random = Random(f"{options.seed} {number}")
            try:
                chain(OPERATIONS[name], known[name], Path(place, f"c{number}"), random, tallies[name])
            except RuntimeError as error:
                tallies[name].faults.append(f"chain {number}: {error}")
            number += 1
            kept = {key: asdict(tally) for key, tally in tallies.items()}
            content = {"seed": options.seed, "chains": number, "operations": kept}
            write_whole(options.results, json.dumps(content, indent=1).encode())
    print(report(tallies))
    return int(any(tally.faults for tally in tallies.values()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1:]))
