"""Runs a bundle on Lava: ``python main.py BUNDLE INPUTS RESULT``, with an interpreter that has lava-nc.

With ``--session CAPACITY`` and no files it starts once and runs again and again: a line ``{"inputs": FILE, "result":
FILE}`` on its standard input is a run, of up to so many samples, and a line on its standard output says that it is
done. It ends with its input.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

#: How a run ends: with a result, with a message, or with the traceback of what failed.
DONE, REFUSED, NO_LAVA, FAILED = 0, 2, 3, 4


def main() -> int:
    """Read the arguments, run the bundle, write the result; how it ended."""
    options = _arguments()
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # every process of Lava is one thread of work already
    warnings.simplefilter("ignore")
    answers = _answers() if options.session else None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(FAILED))  # so that what was started ends too
    from lava_runtime.errors import INSTALL, BundleError, MissingLavaError, RunError

    install = "install what is missing:\n  " + "\n  ".join(INSTALL)
    try:
        import numpy  # noqa: F401
        import scipy.sparse  # noqa: F401
    except ImportError as error:
        print(f"{sys.executable} has no numpy or scipy: {error}; {install}", file=sys.stderr)
        return NO_LAVA
    from lava_runtime.bundle import read_bundle, read_inputs
    from lava_runtime.compatibility import load_lava, name_shared_memory

    folder = None
    try:
        network = read_bundle(options.bundle)
        unknown = set(options.record) - set(network.populations) - set(network.gates)
        if unknown:
            raise BundleError(f"the bundle has no populations {sorted(unknown)} to record")
        samples = None if options.session else read_inputs(options.inputs, network)
        if options.prefix is not None:
            name_shared_memory(options.prefix)
        version = load_lava()
        folder = options.folder or tempfile.mkdtemp(prefix="snnconv-lava-")
        said = {"python": platform.python_version(), "lava": version}
        _run(options, network, samples, folder, said, answers)
    except BundleError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except MissingLavaError as error:
        print(f"{error}; {install}", file=sys.stderr)
        return NO_LAVA
    except RunError as error:
        print(error, file=sys.stderr)
        return FAILED
    except OSError as error:
        if error.errno != errno.ENOSPC:
            traceback.print_exc()
            return FAILED
        print("the disk is full: free some space, or let TMPDIR name a folder on another disk", file=sys.stderr)
        return REFUSED
    except Exception:
        traceback.print_exc()
        return FAILED
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    return DONE


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run a bundle on Lava.", allow_abbrev=False)
    parser.add_argument("bundle", help="the network, an .npz file")
    parser.add_argument("inputs", nargs="?", help="integers [N, *shape] of every input by name, an .npz file")
    parser.add_argument("result", nargs="?", help="the .npz file to write")
    parser.add_argument("--session", type=int, default=0, metavar="CAPACITY", help="run what standard input names")
    parser.add_argument("--arithmetic", choices=("fixed", "float"), default="fixed")
    parser.add_argument("--synapses", choices=("fast", "lava"), default="fast", help="whose models of synapses run")
    parser.add_argument("--record", action="append", default=[], metavar="NAME", help="keep what a population sends")
    parser.add_argument("--hardware", action="store_true", help="compile synapses for Loihi 2")
    parser.add_argument("--prefix", help="what the names of shared memory start with; end with the parent process")
    parser.add_argument("--folder", help="an empty folder for what processes write; it is removed")
    return parser.parse_args()


def _answers() -> TextIO:
    """The standard output, for answers alone: what Lava prints, at whatever time, goes to the messages."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _run(
    options: argparse.Namespace, network: Any, samples: Any, folder: str, said: dict[str, str], answers: TextIO | None
) -> None:
    import lava.utils.loihi
    import numpy as np
    from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg

    from lava_runtime.archive import write_arrays
    from lava_runtime.assembly import Assembly
    from lava_runtime.bundle import read_inputs
    from lava_runtime.errors import BundleError
    from lava_runtime.guard import GuardedRuns

    began = time.perf_counter()
    parent = os.getppid()
    fixed = options.arithmetic == "fixed"
    if options.hardware and not lava.utils.loihi.is_installed():
        raise BundleError("there is no Loihi 2: Intel's lava-loihi extension is not installed in this interpreter")
    if options.hardware and not fixed:
        raise BundleError("Loihi 2 has no floating point: run with fixed arithmetic")
    fast = options.synapses == "fast" and not options.hardware
    if not fast:
        import scipy.signal  # noqa: F401 # once, before every process does it for Lava's own convolutions
    capacity = options.session or len(next(iter(samples.values())))
    assembly = Assembly(network, capacity, fixed, fast, frozenset(options.record), folder)
    assembly.build()
    built = time.perf_counter()
    config = (Loihi2HwCfg if options.hardware else Loihi2SimCfg)(
        select_tag="fixed_pt" if fixed else "floating_pt", exception_proc_model_map=assembly.models
    )

    def alive() -> bool:
        return options.prefix is None or os.getppid() == parent

    with GuardedRuns(assembly.processes, config, assembly.channel_size, alive) as runs:
        seconds = {"build": built - began, "compile": time.perf_counter() - built}

        def run(samples: Any, result: str) -> None:
            steps, idle = assembly.begin(samples)
            report = {"seconds": {**seconds, "run": runs.run(idle + steps)}, "steps": steps, **said}
            arrays = assembly.results(len(next(iter(samples.values()))))
            write_arrays(result, {**arrays, "report": np.array(json.dumps(report))})

        if answers is None:
            run(samples, options.result)
            return
        for request in _requests(answers):
            inputs = read_inputs(request["inputs"], network)
            count = len(next(iter(inputs.values())))
            if count > capacity:
                raise BundleError(f"{count} samples are more than the {capacity} of this session")
            run(inputs, request["result"])


def _requests(answers: TextIO) -> Iterator[dict[str, str]]:
    """What standard input asks for, one by one; each is said to be done when the next is taken."""
    for line in sys.stdin:
        yield json.loads(line)
        print("done", file=answers, flush=True)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # Lava's objects would wait for their processes when they are deleted
