"""Tutorials run from top to bottom: each in a kernel that is a fork of one process, and in a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.support.fork_server import client_of

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OURS = ("coding", "neurons", "snnconv", "hw_export")
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
#: The first line of a warning; a line of source may follow.
WARNING = re.compile(r"^(?P<file>\S.*?):\d+: (?P<category>\w*Warning): .*\n(?:  .*\n)?", re.MULTILINE)


@contextlib.contextmanager
def loaded_kernels(folder: Path) -> Iterator[None]:
    """Kernels of Jupyter start as forks of a process that has imported torch, which would take half of their time."""
    environment = {
        "IPYTHONDIR": str(folder / "ipython"),  # no start-up files or history of the user
        "OMP_NUM_THREADS": "1",  # small tensors: more threads only wait for each other
    }
    with patch.dict(os.environ, environment):
        os.environ.pop("MPLBACKEND", None)  # the kernel draws inline
        if not hasattr(os, "pidfd_open"):  # a system without such forks: kernels load by themselves
            yield
            return
        os.environ["JUPYTER_PATH"] = str(folder)
        with client_of("tests.notebooks.kernel_server", [], folder) as client:
            command = [sys.executable, str(client), "-f", "{connection_file}"]
            specification: dict[str, object] = {"argv": command, "display_name": "Python 3", "language": "python"}
            specification["interrupt_mode"] = "message"  # a signal would reach the client alone
            (folder / "kernels" / "python3").mkdir(parents=True)
            (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(specification))
            yield


def executed(tutorial: Path, folder: Path) -> NotebookNode:
    """``tutorial`` with the outputs of a run in ``folder``, which does not exist yet.

    Raises ``CellExecutionError`` for a cell that fails, ``AssertionError`` for a warning of ours or a file left behind.
    """
    folder.mkdir()
    notebook = read(Path(shutil.copy(tutorial, folder)))
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, record_timing=False, resources=resources).execute()
    warnings = our_warnings(notebook)
    assert warnings == [], f"{tutorial.name} warns: {warnings}"
    left = [path.name for path in folder.iterdir() if path.name != tutorial.name]
    assert left == [], f"{tutorial.name} leaves files behind: {left}"
    return notebook


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def our_warnings(notebook: NotebookNode) -> list[str]:
    """Warnings on stderr that the notebook's own cells or our packages raised, not those of other libraries."""
    text = "".join(
        output.text
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr"
    )
    return [match[0] for match in WARNING.finditer(text) if not is_other_library(match["file"])]


def is_other_library(file: str) -> bool:
    for folder in LIBRARIES[1:] + LIBRARIES[:1]:  # site-packages lies within the standard library's folder
        if Path(file).is_relative_to(folder):
            return Path(file).relative_to(folder).parts[0] not in OURS
    return False
