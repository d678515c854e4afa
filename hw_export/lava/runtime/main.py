"""Runs a bundle on Lava: ``python main.py BUNDLE INPUTS RESULT``, with an interpreter that has lava-nc."""

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
from typing import Any

#: How a run ends: with a result, with a message, or with the traceback of what failed.
DONE, REFUSED, NO_LAVA, FAILED = 0, 2, 3, 4


def main() -> int:
    """Read the arguments, run the bundle, write the result; how it ended."""
    options = _arguments()
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # every process of Lava is one thread of work already
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(FAILED))  # so that what was started ends too
    from lava_runtime.errors import INSTALL, BundleError, MissingLavaError, RunError

    install = "install what is missing:\n  " + "\n  ".join(INSTALL)
    try:
        import numpy as np
        import scipy.sparse  # noqa: F401
    except ImportError as error:
        print(f"{sys.executable} has no numpy or scipy: {error}; {install}", file=sys.stderr)
        return NO_LAVA
    from lava_runtime.archive import write_arrays
    from lava_runtime.bundle import read_bundle, read_inputs
    from lava_runtime.compatibility import load_lava, name_shared_memory

    folder = None
    try:
        network = read_bundle(options.bundle)
        unknown = set(options.record) - set(network.populations) - set(network.gates)
        if unknown:
            raise BundleError(f"the bundle has no populations {sorted(unknown)} to record")
        samples = read_inputs(options.inputs, network)
        if options.prefix is not None:
            name_shared_memory(options.prefix)
        version = load_lava()
        folder = options.folder or tempfile.mkdtemp(prefix="snnconv-lava-")
        arrays, report = _run(options, network, samples, folder)
        report |= {"python": platform.python_version(), "lava": version}
        write_arrays(options.result, {**arrays, "report": np.array(json.dumps(report))})
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
    parser.add_argument("inputs", help="integers [N, *shape] of every input by name, an .npz file")
    parser.add_argument("result", help="the .npz file to write")
    parser.add_argument("--arithmetic", choices=("fixed", "float"), default="fixed")
    parser.add_argument("--synapses", choices=("fast", "lava"), default="fast", help="whose models of synapses run")
    parser.add_argument("--record", action="append", default=[], metavar="NAME", help="keep what a population sends")
    parser.add_argument("--hardware", action="store_true", help="compile synapses for Loihi 2")
    parser.add_argument("--prefix", help="what the names of shared memory start with; end with the parent process")
    parser.add_argument("--folder", help="an empty folder for what processes write; it is removed")
    return parser.parse_args()


def _run(options: argparse.Namespace, network: Any, samples: Any, folder: str) -> tuple[dict[str, Any], dict[str, Any]]:
    import lava.utils.loihi
    from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg

    from lava_runtime.assembly import Assembly
    from lava_runtime.errors import BundleError
    from lava_runtime.guard import run_guarded

    began = time.perf_counter()
    parent = os.getppid()
    fixed = options.arithmetic == "fixed"
    if options.hardware and not lava.utils.loihi.is_installed():
        raise BundleError("there is no Loihi 2: Intel's lava-loihi extension is not installed in this interpreter")
    if options.hardware and not fixed:
        raise BundleError("Loihi 2 has no floating point: run with fixed arithmetic")
    fast = options.synapses == "fast" and not options.hardware
    assembly = Assembly(network, samples, fixed, fast, frozenset(options.record), folder)
    assembly.build()
    built = time.perf_counter()
    config = (Loihi2HwCfg if options.hardware else Loihi2SimCfg)(
        select_tag="fixed_pt" if fixed else "floating_pt", exception_proc_model_map=assembly.models
    )

    def alive() -> bool:
        return options.prefix is None or os.getppid() == parent

    seconds = run_guarded(assembly.processes, config, assembly.steps, assembly.channel_size, alive)
    arrays = {f"outputs.{name}": page.open() for name, page in assembly.sums.items()}
    arrays |= {f"rasters.{name}": page.open() for name, page in assembly.rasters.items()}
    arrays |= {f"spikes.{name}": page.open() for name, page in assembly.spikes.items()}
    report = {
        "seconds": {"build": built - began, **seconds},
        "steps": assembly.steps,
    }
    return arrays, report


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # Lava's objects would wait for their processes when they are deleted
