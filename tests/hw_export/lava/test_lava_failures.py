"""Runs on Lava that fail: every failure is reported, and leaves neither processes nor files."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import torch

import hw_export.lava.launch as launching
import snnconv
from coding import Concurrent, Rate
from hw_export import lava
from hw_export.lava import sessions
from hw_export.lava.child import LavaError
from hw_export.lava.launch import launch
from tests.hw_export.lava.lava_bundles import Builder, stream

ROOT = Path(__file__).parents[3]


def chain(steps: int = 4) -> Builder:
    net = Builder(steps=steps, seed=7)
    net.input("image", (3,))
    net.population("hidden", (4,), 1, stream())
    net.output("sum", (2,), 2)
    net.dense("image", "hidden")
    net.dense("hidden", "sum")
    return net


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files; when the test ends it must be empty, and no process may know it."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    token = f"{os.getpid():x}"
    monkeypatch.setattr(launching.secrets, "token_hex", lambda _: token)
    yield folder
    assert list(folder.iterdir()) == []
    assert processes_of(folder) == []
    assert not list(Path("/dev/shm").glob(f"snn{token}*"))


def processes_of(folder: Path) -> list[str]:
    """Command lines of living processes that name ``folder``; Lava's processes have that of the one they left."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def break_neurons(monkeypatch: pytest.MonkeyPatch, folder: Path, statement: str, method: str = "fire") -> None:
    """Let the runtime be one whose neurons execute ``statement`` instead of ``method``."""
    program = f"""
import os, signal, sys, time
sys.path.insert(0, {str(launching.MAIN.parent)!r})
import main
from lava_runtime.compatibility import load_lava
load_lava()
from lava_runtime.behaviour import neurons
def broken(*arguments):
    {statement}
neurons._StreamModel.{method} = broken
os._exit(main.main())
"""
    path = folder.parent / "broken.py"
    path.write_text(program)
    monkeypatch.setattr(launching, "MAIN", path)


def attempt(folder: Path, timeout: float = 120.0) -> str:
    net = chain()
    with pytest.raises(LavaError) as caught:
        launch(net.save(folder.parent / "net.npz"), net.samples(2), timeout=timeout)
    return str(caught.value)


@pytest.mark.parametrize("method", ["fire", "__init__"])
def test_an_exception_in_a_model_is_shown_with_its_traceback(
    method: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_neurons(monkeypatch, scratch, "raise ValueError('no such spike')", method)
    message = attempt(scratch)
    assert "ValueError: no such spike" in message
    assert "broken.py" in message


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended (StreamNeurons of hidden): it was killed by SIGKILL"),
        ("os._exit(5)", "ended (StreamNeurons of hidden): its exit status was 5"),
        ("os.kill(os.getppid(), signal.SIGKILL)", "the run on Lava was killed by SIGKILL"),
    ],
)
def test_a_process_that_dies_is_reported(
    statement: str, words: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_neurons(monkeypatch, scratch, statement)
    assert words in attempt(scratch)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, made while temporary files go where they always do."""
    path = tmp_path_factory.mktemp("exported") / "network.npz"
    x = torch.rand(30, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).double()
    network = snnconv.convert(layers, x, coding=Rate(4), schedule=Concurrent(4))
    lava.export(network, path, input_bits=6, allow_loss=100.0)
    return path


def test_a_session_runs_in_a_process_with_many_open_files(exported: Path, scratch: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < 2048:
        pytest.skip("the system allows no more open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 2048), limits[1]))
    try:
        with ExitStack() as files:
            for _ in range(1100):
                files.enter_context(open(os.devnull))
            with lava.session(exported) as session:
                assert session.run(torch.rand(2, 3)).samples == 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_what_lava_prints_while_a_session_starts_is_no_answer(
    exported: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scratch.parent / "noisy.py"
    path.write_text(
        f"""
import os, sys
sys.path.insert(0, {str(launching.MAIN.parent)!r})
import main
from lava_runtime import compatibility
load_lava = compatibility.load_lava
def noisy():
    print("done", flush=True)
    return load_lava()
compatibility.load_lava = noisy
os._exit(main.main())
"""
    )
    monkeypatch.setattr(launching, "MAIN", path)
    with lava.session(exported) as session:
        assert session.run(torch.rand(2, 3)).samples == 2


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("raise ValueError('no such spike')", "ValueError: no such spike"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            r"a process of the network ended \(StreamNeurons of relu\): it was killed by SIGKILL",
        ),
        ("os.kill(os.getppid(), signal.SIGKILL)", "the run on Lava was killed by SIGKILL"),
        ("time.sleep(1000)", "it took more than 1 s"),
    ],
)
def test_what_fails_in_a_session_ends_it_and_is_named(
    statement: str, words: str, exported: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_neurons(monkeypatch, scratch, statement)
    with lava.session(exported, timeout=1.0 if "sleep" in statement else 60.0) as session:
        with pytest.raises(LavaError, match=words):
            session.run(torch.rand(2, 3))
        assert list(scratch.iterdir()) == [] and processes_of(scratch) == []
        with pytest.raises(LavaError, match="has ended: start another"):
            session.run(torch.rand(2, 3))


def test_a_session_that_nobody_closes_leaves_nothing(exported: Path, scratch: Path) -> None:
    session = lava.session(exported)
    assert session.run(torch.rand(2, 3)).samples == 2 and len(processes_of(scratch)) > 3
    del session  # the fixture looks for what is left


def test_a_run_that_hangs_is_stopped(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_neurons(monkeypatch, scratch, "time.sleep(1000)")
    assert "it took more than 3 s" in attempt(scratch, timeout=3.0)


def test_an_interruption_ends_the_run(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    break_neurons(monkeypatch, scratch, "time.sleep(1000)")
    net = chain()
    path = net.save(scratch.parent / "net.npz")
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 2.0)
        with pytest.raises(KeyboardInterrupt):
            launch(path, net.samples(2))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", ["run", "session"])
def test_the_run_ends_where_its_launcher_is_killed(kind: str, exported: Path, tmp_path: Path) -> None:
    program = f"import numpy, tempfile, time, torch\ntempfile.tempdir = {str(tmp_path)!r}\n"
    if kind == "run":
        path = chain(steps=100_000).save(tmp_path / "net.npz")
        program += "from hw_export.lava.launch import launch\n"
        program += f"launch({str(path)!r}, {{'image': numpy.ones((1000, 3), int)}})\n"
    else:
        program += f"from hw_export import lava\nsession = lava.session({str(exported)!r})\n"
        program += "session.run(torch.rand(2, 3))\ntime.sleep(1000)\n"
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as launcher:
        deadline = time.monotonic() + 60.0
        while len(processes_of(tmp_path)) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        lines = processes_of(tmp_path)
        assert len(lines) >= 5
        launcher.kill()
    deadline = time.monotonic() + 60.0
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(tmp_path) == []
    (prefix,) = {option for line in lines for option in line.split("\0") if option.startswith("--prefix=")}
    assert not list(Path("/dev/shm").glob(prefix.removeprefix("--prefix=") + "*"))


def test_an_interpreter_without_lava_is_told_how_to_get_it(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = scratch.parent / "without.py"
    program.write_text(
        f"import os, sys\nsys.path.insert(0, {str(launching.MAIN.parent)!r})\nsys.modules['lava'] = None\n"
        "import main\nos._exit(main.main())\n"
    )
    monkeypatch.setattr(launching, "MAIN", program)
    message = attempt(scratch)
    assert "pip install --no-deps --ignore-requires-python lava-nc==0.10.0" in message
    assert "pip install numpy scipy networkx asteval" in message


def test_an_interpreter_without_numpy_or_none_at_all(scratch: Path) -> None:
    bare = scratch.parent / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    bare.chmod(0o755)
    net = chain()
    path = net.save(scratch.parent / "net.npz")
    with pytest.raises(LavaError, match="pip install numpy scipy networkx asteval"):
        launch(path, net.samples(1), interpreter=str(bare))
    with pytest.raises(LavaError, match=r"could not be carried out: .*no/such/python"):
        launch(path, net.samples(1), interpreter="/no/such/python")


def test_without_the_chip_nothing_runs_on_it(scratch: Path) -> None:
    net = chain()
    with pytest.raises(LavaError, match="there is no Loihi 2"):
        launch(net.save(scratch.parent / "net.npz"), net.samples(1), hardware=True, timeout=120)


def test_a_full_disk_is_called_so(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(launching, "write_inputs", full)
        assert "is full" in attempt(scratch)
    program = scratch.parent / "full.py"
    program.write_text(
        f"import errno, os, sys\nsys.path.insert(0, {str(launching.MAIN.parent)!r})\nimport main\n"
        "def full(*arguments):\n    raise OSError(errno.ENOSPC, 'full')\nos.posix_fallocate = full\n"
        "os._exit(main.main())\n"
    )
    monkeypatch.setattr(launching, "MAIN", program)
    assert "the disk is full" in attempt(scratch)


def test_a_full_disk_is_called_so_in_a_session(exported: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sessions, "write_inputs", full)
    with lava.session(exported) as session:
        with pytest.raises(LavaError, match="is full: free some space"):
            session.run(torch.rand(2, 3))
        assert list(scratch.iterdir()) == [] and processes_of(scratch) == []


def test_inputs_that_do_not_fit_are_refused(scratch: Path) -> None:
    net = chain()
    path = net.save(scratch.parent / "net.npz")
    for inputs, words in (
        ({"image": np.zeros((2, 4), int)}, "it must be one or more of"),
        ({"image": np.zeros((0, 3), int)}, "it must be one or more of"),
        ({"image": np.full((2, 3), 1 << 23)}, "the network takes -8388607 to 8388607"),
        ({"picture": np.zeros((2, 3), int)}, "the network takes"),
        ({"image": np.zeros((2, 3))}, "must hold integers"),
    ):
        with pytest.raises(LavaError, match=words):
            launch(path, inputs, timeout=120)
    with pytest.raises(LavaError, match="no populations"):
        launch(path, net.samples(1), record=["nobody"], timeout=120)
