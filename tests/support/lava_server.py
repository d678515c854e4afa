"""A program: it loads Lava once, then runs the runtime of bundles in a fork of itself for every client that connects.

``python lava_server.py RUNTIME ADDRESS``. A client sends its arguments and its standard output and error, and gets the
exit status. A run whose client has gone away is killed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys
import warnings
from collections.abc import Callable


def main() -> None:
    runtime, address = sys.argv[1:]
    warnings.simplefilter("ignore")
    sys.path.insert(0, runtime)
    program = importlib.import_module("main")
    importlib.import_module("lava_runtime.compatibility").load_lava()
    for name in ("lava.magma.core.run_configs", "lava_runtime.assembly", "lava_runtime.guard"):
        importlib.import_module(name)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{address}.new")
        server.listen()
        os.rename(f"{address}.new", address)  # whoever sees it can connect
        while True:
            client, _ = server.accept()
            with client:
                serve(client, program.main, runtime)


def serve(client: socket.socket, program: Callable[[], int], runtime: str) -> None:
    """Run ``program`` with the arguments of ``client`` and tell it how that ended."""
    message, streams, _, _ = socket.recv_fds(client, 1 << 16, 2)
    run = os.fork()
    if run == 0:
        os.setsid()
        for stream, number in zip(streams, (1, 2), strict=True):
            os.dup2(stream, number)
        sys.argv = [runtime, *json.loads(message)]
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


if __name__ == "__main__":
    main()
