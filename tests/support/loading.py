"""What importing a module loads, each module in a process that has imported nothing else of the project."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys

#: What everybody needs is loaded once; then every module is imported in a fork of that process.
_PROGRAM = """
import importlib, json, os, sys, torch.export, scipy.sparse, safetensors.torch
for module in sys.argv[1:]:
    if os.fork() == 0:
        importlib.import_module(module)
        print(json.dumps([module, sorted(sys.modules)]), flush=True)
        os._exit(0)
    if os.wait()[1]:
        sys.exit(f"import {module} fails")
"""


@functools.cache
def loaded_by(modules: tuple[str, ...]) -> dict[str, set[str]]:
    """The full names of all modules that importing each of ``modules`` leaves loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *modules],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = dict(map(json.loads, done.stdout.splitlines()))
    assert found.keys() == set(modules)
    return {module: set(names) for module, names in found.items()}
