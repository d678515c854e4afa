"""Fixtures of the tests of export."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import hw_export.lava.launch as launching
from tests.support import lava_server

_CLIENT = """
import json, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [json.dumps(sys.argv[1:]).encode()], [1, 2])
    sys.exit(server.recv(1)[0])
"""


@pytest.fixture(scope="session")
def lava_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A program that does what the runtime's ``main.py`` does, in a fork of one process that has loaded Lava."""
    folder = tmp_path_factory.mktemp("lava")
    address = folder / "socket"
    client = folder / "client.py"
    client.write_text(_CLIENT.format(address=str(address)))
    command = [sys.executable, lava_server.__file__, str(launching.MAIN.parent), str(address)]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with subprocess.Popen(command, env={**os.environ, **one_thread}, start_new_session=True) as server:
        try:
            deadline = time.monotonic() + 300.0
            while not address.exists():
                assert server.poll() is None and time.monotonic() < deadline, "Lava could not be loaded"
                time.sleep(0.05)
            yield client
        finally:
            server.kill()


@pytest.fixture
def loaded_lava(lava_client: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs on Lava start from a process that has loaded it, which takes most of the time of a small run."""
    monkeypatch.setattr(launching, "MAIN", lava_client)
