"""A program, ``lava_server RUNTIME ADDRESS``: it loads Lava once, then runs the runtime of bundles for every client."""

from __future__ import annotations

import importlib
import sys
import warnings

from tests.support.fork_server import serve


def main() -> None:
    runtime, address = sys.argv[1:]
    warnings.simplefilter("ignore")
    sys.path.insert(0, runtime)
    program = importlib.import_module("main")
    importlib.import_module("lava_runtime.compatibility").load_lava()
    for name in ("lava.magma.core.run_configs", "lava_runtime.assembly", "lava_runtime.guard", "scipy.signal"):
        importlib.import_module(name)
    serve(address, program.main)


if __name__ == "__main__":
    main()
