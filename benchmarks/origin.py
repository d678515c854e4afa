"""Where figures come from: the machine, torch and the commit that they were measured with."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]


def machine() -> str:
    """This processor, and what torch uses of it, such as "AMD EPYC, family 25, model 1, AVX2"."""
    file = Path("/proc/cpuinfo")
    lines = [line.partition(":") for line in file.read_text().splitlines()] if file.exists() else []
    said = {name.strip(): value.strip() for name, _, value in reversed(lines)}
    numbers = [
        f"{short} {said[name]}" for short, name in (("family", "cpu family"), ("model", "model")) if name in said
    ]
    kind = said.get("model name") or platform.processor() or platform.machine()
    return ", ".join([kind, *numbers, torch.backends.cpu.get_cpu_capability()])


def commit() -> str:
    """This repository's commit, with "changed" where its files are not as committed; "unknown" where git has none."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--dirty= changed"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # a table is not lost for want of it
    return found.stdout.strip() or "unknown"


def origin() -> dict[str, str | int]:
    """All that a table is kept with."""
    threads = torch.get_num_threads()
    return {"machine": machine(), "threads": threads, "torch": torch.__version__, "commit": commit()}
