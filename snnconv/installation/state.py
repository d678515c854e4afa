"""installation_state(): machine, packages, compiled kernels and devices, with the command that adds what is missing."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from snnconv.installation.packages import PackageState, package_state, required_packages
from snnconv.kernels.backends import native
from snnconv.version import __version__

#: What each extra is for; one that is not here is said by its name alone.
_PURPOSES = {
    "cluster": "work shared by a cluster of Dask",
    "detection": "object detectors",
    "docs": "the documentation site",
    "fast": "compiled kernels",
    "lava": "runs on Lava",
    "nir": "NIR graphs",
    "norse": "neurons and modules of norse",
    "notebooks": "tutorials",
    "plots": "pictures",
    "snntorch": "neurons and modules of snntorch",
}
#: lava-nc refuses interpreters after 3.10 by its metadata alone, so no extra can ask for it.
_LAVA = "lava-nc"
_LAVA_COMMAND = "pip install --no-deps --ignore-requires-python lava-nc==0.10.0"
#: A kernel that every network in windows uses.
_KERNEL = "settled_windows_numba"


@dataclass(frozen=True)
class Installation:
    """What is installed. Prints as a report that ends with what to do.

    Attributes:
        facts: Versions and the machine, by name.
        packages: The packages of each extra, ``None`` for those that are always needed.
        remedies: What is missing or broken, by what it is for, as the command that mends it.
    """

    facts: Mapping[str, str]
    packages: Mapping[str | None, tuple[PackageState, ...]]
    remedies: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether everything works that is always needed."""
        return all(package.works for package in self.packages[None])

    def __str__(self) -> str:
        parts = [_columns([[name, value] for name, value in self.facts.items()])]
        rows = [
            [extra or "always needed", _state(group), ", ".join(map(str, group))]
            for extra, group in self.packages.items()
        ]
        parts.append(_columns(rows))
        if self.remedies:
            parts.append("\n".join(f"for {what}: {command}" for what, command in self.remedies.items()))
        else:
            parts.append("nothing is missing")
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        packages = {
            extra or "always needed": {each.name: {"version": each.version, "problem": each.problem} for each in group}
            for extra, group in self.packages.items()
        }
        return {"facts": dict(self.facts), "packages": packages, "remedies": dict(self.remedies), "ok": self.ok}


def _columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text, all columns but the last as wide as their longest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join("  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows)


def _state(packages: Sequence[PackageState]) -> str:
    if any(each.problem for each in packages):
        return "broken"
    return "works" if all(each.works for each in packages) else "missing"


def installation_state() -> Installation:
    """The state of this installation: every package is imported, and one kernel compiled."""
    packages = dict(required_packages("snnconv"))
    packages["lava"] = (*packages.get("lava", ()), package_state(_LAVA))
    remedies = {}
    for extra, group in packages.items():
        command = f"pip install 'snnconv{f'[{extra}]' if extra else ''}'"
        if any(each.problem for each in group):
            broken = " ".join(each.name for each in group if each.problem)
            command = f"pip install --force-reinstall {broken}"
        elif extra == "lava" and not group[-1].works:
            command = f"{command}; {_LAVA_COMMAND}"
        if not all(each.works for each in group):
            remedies[_PURPOSES.get(extra, extra) if extra else "everything"] = command
    return Installation(_facts(), packages, remedies)


def _facts() -> dict[str, str]:
    compiler = next((name for name in ("gcc", "clang") if shutil.which(name)), "none (programs in C are not compiled)")
    return {
        "snnconv": __version__,
        "Python": f"{platform.python_version()} ({sys.executable})",
        "machine": f"{platform.system()} {platform.machine()}, {_cores()} cores, {torch.get_num_threads()} threads",
        "torch": f"{torch.__version__}, instructions {torch.backends.cpu.get_cpu_capability()}",
        "devices": _devices(),
        "compiled kernels": _kernels(),
        "C compiler": compiler,
        "example data": os.environ.get("SNNCONV_DATA", "not set: SNNCONV_DATA names the folder of benchmarks"),
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _devices() -> str:
    found = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return ", ".join(["cpu", *found])


def _kernels() -> str:
    messages: list[str] = []
    logger, handler = logging.getLogger("snnconv.kernels"), _Messages(messages)
    logger.addHandler(handler)
    try:
        found = native(_KERNEL, torch.float32, torch.device("cpu"))
    finally:
        logger.removeHandler(handler)
    if found is not None:
        return "numba"
    return f"none, torch computes: {messages[0]}" if messages else "none, torch computes: numba is not installed"


class _Messages(logging.Handler):
    """Keeps warnings as text."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(record.getMessage())
