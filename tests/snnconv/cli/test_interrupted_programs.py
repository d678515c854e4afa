"""The program as a process of its own: interrupted as it starts, and ended from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.detector_files import LABELLED, write_detector

ROOT = Path(__file__).parents[3]
NOTHING = "no result is kept; the same command begins anew"


def python(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment, **pipes)


@pytest.mark.parametrize(
    "start", [("-m", "snnconv"), ("-c", "from snnconv.cli import main; main()")], ids=["module", "script"]
)
@pytest.mark.parametrize(("number", "why"), [(2, "interrupted"), (15, "ended by SIGTERM")])
def test_a_program_that_starts_is_interrupted_without_a_traceback(
    start: tuple[str, ...], number: int, why: str, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text(f"import signal\nsignal.raise_signal({number})\nraise ImportError('too late')\n")
    process = python(tmp_path, *start, "doctor")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (128 + number, "", f"{why}: {NOTHING}\n")


def test_a_program_is_ended_from_outside(tmp_path: Path) -> None:
    files, kept_in = tmp_path / "files", tmp_path / "kept"
    for folder in (files, kept_in):
        folder.mkdir()
    write_detector(files)
    arguments = ("-o", str(kept_in / "new.weights"), "--config", "net.cfg", *LABELLED, "--epochs", "100000")
    checkpoint = kept_in / "run"
    process = python(files, "-m", "snnconv", "train-detector", *arguments, "--checkpoint", str(checkpoint))
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    kept = f"the epochs that were finished are in {checkpoint}; the same command goes on from there"
    assert (process.returncode, err) == (143, f"ended by SIGTERM: {kept}\n")
    assert list(kept_in.iterdir()) == [checkpoint]
