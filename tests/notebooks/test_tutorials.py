"""Every tutorial runs from top to bottom in a copy, warns of nothing of ours, and is committed without outputs."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.support.fork_server import client_of

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OURS = ("coding", "neurons", "snnconv", "hw_export")
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
WARNING = re.compile(r"^(?P<file>\S.*?):\d+: (?P<category>\w*Warning): ", re.MULTILINE)


@pytest.fixture(scope="module")
def loaded_kernels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Kernels of Jupyter start as forks of a process that has imported torch, which would take half of their time."""
    folder = tmp_path_factory.mktemp("kernels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))  # no start-up files or history of the user
        patch.setenv("OMP_NUM_THREADS", "1")  # small tensors: more threads only wait for each other
        patch.delenv("MPLBACKEND", raising=False)  # the kernel draws inline
        if not hasattr(os, "pidfd_open"):  # a system without such forks: kernels load by themselves
            yield
            return
        patch.setenv("JUPYTER_PATH", str(folder))
        with client_of("tests.notebooks.kernel_server", [], folder) as client:
            command = [sys.executable, str(client), "-f", "{connection_file}"]
            specification: dict[str, object] = {"argv": command, "display_name": "Python 3", "language": "python"}
            specification["interrupt_mode"] = "message"  # a signal would reach the client alone
            (folder / "kernels" / "python3").mkdir(parents=True)
            (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(specification))
            yield


def test_there_are_tutorials() -> None:
    assert TUTORIALS


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_is_committed_without_outputs(tutorial: Path) -> None:
    notebook = read(tutorial)
    nbformat.validate(notebook)
    for cell in code_cells(notebook):
        assert cell.outputs == [], f"cell {cell.id} has outputs; clear them"
        assert cell.execution_count is None, f"cell {cell.id} has an execution count; clear it"
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.slow
@pytest.mark.usefixtures("loaded_kernels")
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_runs(tutorial: Path, tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    notebook = read(Path(shutil.copy(tutorial, folder)))
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute()
    assert our_warnings(notebook) == []
    assert [path.name for path in folder.iterdir()] == [tutorial.name], "the tutorial leaves files behind"


@pytest.mark.parametrize(
    ("file", "ours"),
    [
        (str(ROOT / "snnconv" / "convert.py"), True),
        (str(Path(sysconfig.get_path("purelib"), "neurons", "neuron.py")), True),
        ("/elsewhere/ipykernel_1/2.py", True),
        (str(Path(sysconfig.get_path("purelib"), "torch", "export", "trace.py")), False),
        (str(Path(sysconfig.get_path("stdlib"), "ast.py")), False),
    ],
)
def test_a_warning_is_ours_by_its_file(file: str, ours: bool) -> None:
    output = nbformat.v4.new_output("stream", name="stderr", text=f"{file}:12: UserWarning: odd\n  odd()\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])])
    assert our_warnings(notebook) == ([f"{file}:12: UserWarning: "] if ours else [])


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
