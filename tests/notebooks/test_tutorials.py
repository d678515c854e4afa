"""Every tutorial runs from top to bottom in a copy, warns of nothing of ours, and says what it is saved with.

That takes minutes, so ``make docs`` does it.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.executing import ROOT, TUTORIALS, code_cells, executed, loaded_kernels, our_warnings, read
from tests.notebooks.outputs import kinds, settle


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with loaded_kernels(tmp_path_factory.mktemp("kernels")):
        yield


@pytest.mark.tutorial
@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_runs_and_says_what_it_is_saved_with(tutorial: Path, tmp_path: Path) -> None:
    notebook = executed(tutorial, tmp_path / "notebooks")
    settle(notebook)
    for before, after in zip(code_cells(read(tutorial)), code_cells(notebook), strict=True):
        assert kinds(before) == kinds(after), f"cell {before.id} has other outputs than saved: make notebooks"


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
    text = f"{file}:12: UserWarning: odd\n  odd()\n"
    output = nbformat.v4.new_output("stream", name="stderr", text=text)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])])
    assert our_warnings(notebook) == ([text] if ours else [])
