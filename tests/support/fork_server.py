"""Programs that take long to load: one process loads them, and runs them in a fork of itself for every client."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]

_CLIENT = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    message = {{"folder": os.getcwd(), "arguments": sys.argv[1:]}}
    socket.send_fds(server, [json.dumps(message).encode()], [1, 2])
    sys.exit(server.recv(1)[0])
"""


@contextlib.contextmanager
def client_of(server: str, arguments: Sequence[str], folder: Path) -> Iterator[Path]:
    """A small program that does what that of the module ``server`` does, in a fork of the one process that loaded it.

    The server gets ``arguments`` and the address of a socket in ``folder``. A fork has the client's arguments, folder,
    standard output and error, and the environment of the server.
    """
    address, client = folder / "socket", folder / "client.py"
    client.write_text(_CLIENT.format(address=str(address)))
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-m", server, *arguments, str(address)]
    with subprocess.Popen(command, env={**os.environ, **one_thread}, cwd=ROOT, start_new_session=True) as process:
        try:
            deadline = time.monotonic() + 300.0
            while not address.exists():
                assert process.poll() is None and time.monotonic() < deadline, f"{server} could not be loaded"
                time.sleep(0.05)
            yield client
        finally:
            process.kill()


def serve(address: str, program: Callable[[], int]) -> NoReturn:
    """Run ``program`` for every client that connects; a run whose client has gone away is killed."""
    gc.collect()
    gc.freeze()  # what is loaded stays where it is: forks look for no garbage in it, and share its memory
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{address}.new")
        server.listen()
        os.rename(f"{address}.new", address)  # whoever sees it can connect
        while True:
            client, _ = server.accept()
            with client:
                _run_for(client, program)


def _run_for(client: socket.socket, program: Callable[[], int]) -> None:
    message, streams, _, _ = socket.recv_fds(client, 1 << 16, 2)
    run = os.fork()
    if run == 0:
        os.setsid()
        for stream, number in zip(streams, (1, 2), strict=True):
            os.dup2(stream, number)
        wanted = json.loads(message)
        os.chdir(wanted["folder"])
        sys.argv[1:] = wanted["arguments"]
        status = program()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(run)
    select.select([ended, client], [], [])  # a client says nothing more until it goes away
    os.close(ended)
    os.killpg(run, signal.SIGKILL)
    _, status = os.waitpid(run, 0)
    with contextlib.suppress(BrokenPipeError):
        client.sendall(bytes([os.waitstatus_to_exitcode(status) % 256]))
