"""An evaluation is the same to the last bit, whoever counts: this process, workers, or an executor."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from snnconv.data.batches import batches
from snnconv.errors import ConfigurationError, InputError, WorkerError
from snnconv.scaling.shared import SharedValue
from snnconv.scaling.spreading import Spreading
from tests.snnconv.metrics.test_merging import FAMILIES, data, network_of


def parts() -> list[tuple[Tensor, Tensor]]:
    x, targets = data()
    return [(x[start : start + 9], targets[start : start + 9]) for start in range(0, len(x), 9)]


@pytest.mark.parametrize("name", FAMILIES)
def test_workers_count_what_one_process_counts(name: str, pool: snnconv.Workers) -> None:
    network, options = network_of(name), FAMILIES[name].options
    assert snnconv.evaluate(network, parts(), executor=pool, **options) == snnconv.evaluate(network, parts(), **options)


def test_threads_of_this_process_do_as_executors(caplog: pytest.LogCaptureFixture) -> None:
    network, options = network_of("rate, early stop"), FAMILIES["rate, early stop"].options
    with ThreadPoolExecutor(3) as threads:
        found = snnconv.evaluate(network, parts(), executor=threads, **options)
    assert found == snnconv.evaluate(network, parts(), **options)


class Plain:
    """An executor whose futures have nothing but results, on a machine that sees none of our files."""

    def __init__(self, pool: snnconv.Workers) -> None:
        self.pool, self.sent = pool, 0

    def submit(self, function: Any, /, *arguments: Any) -> Any:
        self.sent += bool(arguments[1])
        future = self.pool.submit(function, *arguments)

        class Future:
            def result(self) -> Any:
                return future.result()

        return Future()


def test_whoever_cannot_read_our_files_is_sent_their_content(
    pool: snnconv.Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SharedValue.__reduce__
    monkeypatch.setattr(SharedValue, "__reduce__", lambda self: (original(self)[0], (self.key, "/elsewhere/shared")))
    network, executor = network_of("rate, stream"), Plain(pool)
    assert snnconv.evaluate(network, parts(), executor=executor) == snnconv.evaluate(network, parts())
    assert executor.sent


def test_data_are_read_a_few_batches_ahead(pool: snnconv.Workers) -> None:
    read, told = [], []

    def endless() -> Iterator[Any]:
        for number, part in enumerate(parts() * 20):
            read.append(number)
            yield part

    class Enough(Exception):
        pass

    def progress(found: snnconv.Progress) -> None:
        told.append(found.done)
        if found.done == 6:
            raise Enough

    with pytest.raises(Enough):
        snnconv.evaluate(network_of("rate, stream"), endless(), executor=pool, progress=progress)
    assert told == [*range(7)] and len(read) < 20


def test_what_a_worker_raises_and_logs_is_raised_and_logged_here(
    pool: snnconv.Workers, caplog: pytest.LogCaptureFixture
) -> None:
    network = network_of("rate, spiking input")
    with pytest.raises(InputError, match="NaN or infinite"):
        snnconv.evaluate(network, [torch.rand(3, 2, 6, 6), torch.full((3, 2, 6, 6), torch.nan)], executor=pool)
    with caplog.at_level(logging.WARNING, logger="snnconv"):
        snnconv.evaluate(network, 2 * torch.rand(9, 2, 6, 6), executor=pool)
    assert "its spikes carry it clipped" in caplog.text


def stops(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def stops_behind_a_child() -> None:
    if not os.fork():
        time.sleep(60.0)
        os._exit(0)
    stops(0.0)


def stops_by(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_worker_whose_child_holds_its_pipe_is_missed(pool: snnconv.Workers) -> None:
    with pytest.raises(WorkerError, match="was killed by SIGKILL while it worked"):
        pool.submit(stops_behind_a_child).result(timeout=30.0)


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="needs real-time signals")
def test_a_signal_without_a_name_is_told_by_its_number(pool: snnconv.Workers) -> None:
    number = signal.SIGRTMIN + 3
    with pytest.raises(WorkerError, match=f"was killed by signal {number} while it worked"):
        pool.submit(stops_by, number).result(timeout=30.0)


def first_of(shared: Any, other: SharedValue) -> Any:
    return shared["number"], other


def test_more_shared_values_than_a_process_keeps_are_sent_one_by_one(
    pool: snnconv.Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SharedValue.__reduce__
    monkeypatch.setattr(SharedValue, "__reduce__", lambda self: (original(self)[0], (self.key, "/elsewhere/shared")))
    with contextlib.ExitStack() as stack:
        values = [stack.enter_context(SharedValue({"number": number}, "a value")) for number in range(7)]
        calls = [(values[0], value) for value in values]
        executor = Plain(pool)
        found = dict(Spreading(executor, 2, 1).as_completed(first_of, calls, "data", values))
        assert found == {number: (0, {"number": number}) for number in range(7)}
        assert executor.sent <= 2 * len(calls)


def test_a_killed_worker_is_named_and_the_next_call_has_another(pool: snnconv.Workers) -> None:
    killed = pool.submit(stops, 0.1)
    with pytest.raises(WorkerError, match=r"worker [12] \(process \d+\) was killed by SIGKILL while it worked"):
        killed.result()
    network = network_of("rate, stream")
    assert snnconv.evaluate(network, parts(), executor=pool) == snnconv.evaluate(network, parts())


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "many"])
def test_numbers_of_workers_that_are_none(workers: Any) -> None:
    with pytest.raises(ConfigurationError, match="workers must be a number of processes of at least 1"):
        snnconv.evaluate(network_of("rate, stream"), parts(), workers=workers)


def test_what_is_no_executor() -> None:
    with pytest.raises(ConfigurationError, match=r"executor is a dict without a method submit"):
        snnconv.evaluate(network_of("rate, stream"), parts(), executor={})


def test_what_cannot_be_sent_is_named(pool: snnconv.Workers) -> None:
    lock = threading.Lock()
    with pytest.raises(ConfigurationError, match="the network, the reference or an option cannot be sent to workers"):
        snnconv.evaluate(network_of("rate, stream"), parts(), executor=pool, stop=lambda output, steps: lock is output)


def test_functions_and_classes_without_a_module_are_sent(pool: snnconv.Workers) -> None:
    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flat = lambda x: 2.0 * x.flatten(1)[:, :4]

        def forward(self, x: Tensor) -> Any:
            return self.flat(x)

    network, options = network_of("rate, stream"), {"stop": lambda output, steps: output.amax(1) > 0.1}
    here = snnconv.evaluate(network, parts(), reference=Doubled(), **options)
    assert snnconv.evaluate(network, parts(), reference=Doubled(), executor=pool, **options) == here


def test_data_need_not_be_sent_as_a_whole(pool: snnconv.Workers) -> None:
    class Unpicklable:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __iter__(self) -> Iterator[Any]:
            yield from parts()

    network = network_of("rate, stream")
    assert snnconv.evaluate(network, Unpicklable(), executor=pool) == snnconv.evaluate(network, parts())
    assert len([*batches(Unpicklable(), "data")]) == len(parts())


def test_a_script_without_a_guard_is_told_what_to_write(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text("import snnconv, os\nwith snnconv.Workers(1) as pool:\n    pool.submit(os.getpid).result()\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "ended with status 1 before it was ready for work" in last and 'if __name__ == "__main__": main()' in last


KILLED = """
import os, signal, sys, torch, snnconv
from coding import FewSpike
from torch import nn

def kill(found):
    if found.what == "evaluating" and found.done:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    network = snnconv.convert(model, torch.rand(40, 4), coding=FewSpike(4))
    with snnconv.Workers(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        snnconv.evaluate(network, [torch.rand(4, 4)] * 9, executor=pool, progress=kill)
"""


def test_what_a_killed_process_has_shared_ends_with_its_workers(tmp_path: Path) -> None:
    script, temporary = tmp_path / "killed.py", tmp_path / "temporary"
    temporary.mkdir()
    script.write_text(KILLED)
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment, timeout=300)
    assert done.returncode == -signal.SIGKILL
    worker = Path("/proc", done.stdout.decode().strip())
    for _ in range(300):
        if not worker.exists():
            break
        time.sleep(0.1)
    assert not worker.exists() and [*temporary.glob("snnconv-*")] == []
