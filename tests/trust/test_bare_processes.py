"""A process without a home, a terminal or an output converts, saves under any name, and measures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, pathlib, torch, snnconv
from coding import FewSpike
from torch import nn
torch.manual_seed(0)
model, x = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), torch.rand(40, 6)
network = snnconv.convert(model, x, coding=FewSpike(4))
for name in ("n" * 236 + ".snn", "\\u7f51\\u7edc \\u00fc\\u0142.snn"):
    network.save(name)
    assert torch.equal(snnconv.load(name)(x), network(x)), name
    assert [path.name for path in pathlib.Path(".").iterdir()] == [name]
    pathlib.Path(name).unlink()
print(network, snnconv.evaluate(network, x), snnconv.verify(network))
"""


@pytest.mark.parametrize("closed", [False, True])
def test_a_bare_process_converts_saves_and_prints(closed: bool, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "SYSTEMROOT", "OMP_NUM_THREADS")}
    bare = kept | {"COLUMNS": "1", "NO_COLOR": "1", "TERM": "dumb", "PYTHONPATH": str(ROOT)}  # no HOME among them
    start = "import sys\nsys.stdout.close()\nsys.stdout = None\n" if closed else ""
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", start + PROGRAM], cwd=tmp_path, env=bare, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert bool(done.stdout) is not closed
