"""A program, ``kernel_server ADDRESS``: it loads what most tutorials import, then is a kernel for every client.

It computes nothing before it forks, so that a tutorial finds the process as a fresh kernel does.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys

from tests.support.fork_server import serve

LOADED = (
    "ipykernel.kernelapp",
    "matplotlib.pyplot",
    "numba",
    "sklearn.datasets",
    "snnconv.public",
    "torch._dynamo",
    "torch._functorch.aot_autograd",
)


def main() -> None:
    (address,) = sys.argv[1:]
    os.environ["JPY_PARENT_PID"] = str(os.getpid())  # kernels end with this process
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # what a kernel says first, too
    for name in LOADED:
        with contextlib.suppress(ModuleNotFoundError):  # numba is optional
            importlib.import_module(name)
    del sys.path[0]  # this repository, which a kernel would not look into
    serve(address, kernel)


def kernel() -> int:
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance()
    return 0


if __name__ == "__main__":
    main()
