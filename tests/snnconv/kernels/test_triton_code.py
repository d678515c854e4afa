"""Code for GPUs, compiled without one: every operation on floats is rounded by itself, as torch rounds it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.computing import needs_triton

#: What is exact or rounded to nearest: sums, products and quotients (``.rn``); comparisons; counts as whole numbers;
#: their sums over samples.
_AS_TORCH = re.compile(
    r"(add|sub|mul|div)\.rn\.f(32|64)|(max|min)\.f(32|64)|cvt\.rzi\.s(32|64)\.f(32|64)|atom\..*\.add\.f(32|64)"
)
_MODULES = {"settled_windows", "settled_tables", "stream_steps", "ratios", "largest"}


@needs_triton
def test_nothing_is_fused_or_approximate(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.triton_code"],
        capture_output=True,
        text=True,
        env=os.environ | {"TRITON_CACHE_DIR": str(tmp_path)},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    compiled = json.loads(done.stdout)
    assert {module for module, *_ in compiled} == {f"{module}_triton" for module in _MODULES}
    for module, precision, generation, fused, instructions in compiled:
        strange = [name for name in instructions if not _AS_TORCH.fullmatch(name)]
        if fused:  # where Triton may, it does
            assert any(name.startswith("fma.") for name in strange)
        else:
            assert instructions and not strange, (module, precision, generation)
