"""Tutorials are saved as their readers see them: in one form, with outputs, small, and with nothing of a machine."""

from __future__ import annotations

import ast
import base64
import re
from io import BytesIO
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from PIL import Image

from tests.notebooks.executing import TUTORIALS, code_cells, read
from tests.notebooks.outputs import LARGEST_NOTEBOOK, LARGEST_PICTURE, MACHINE, METADATA, pictures, said, settle

#: Modules that tell the time or the machine.
TELLING = {"datetime", "getpass", "platform", "socket", "time"}
_HEADING = re.compile(r"^##? (.+)$", re.MULTILINE)


def called(source: str) -> set[str]:
    """Names of the functions that ``source`` calls."""
    functions = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in functions}


def imported(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_there_are_tutorials() -> None:
    assert len(TUTORIALS) >= 9


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_is_saved_with_its_outputs(tutorial: Path) -> None:
    notebook = read(tutorial)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "make notebooks saves outputs"
    for cell in cells:
        kinds = {output.output_type for output in cell.outputs}
        assert "error" not in kinds, f"cell {cell.id} failed"
        assert kinds or not called(cell.source) & {"print", "show", "display"}, f"cell {cell.id} has no outputs"
        drawn = any("image/png" in output.get("data", {}) for output in cell.outputs)
        assert drawn or not called(cell.source) & {"show", "display"}, f"cell {cell.id} has no picture"


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_outputs_are_small_and_tell_nothing_of_the_machine(tutorial: Path) -> None:
    notebook = read(tutorial)
    assert notebook.metadata == METADATA and not any(cell.metadata for cell in notebook.cells)
    assert MACHINE.findall(said(notebook)) == []
    assert not any(imported(cell.source) & TELLING for cell in code_cells(notebook))
    assert max(map(len, pictures(notebook))) <= LARGEST_PICTURE and tutorial.stat().st_size <= LARGEST_NOTEBOOK
    assert not any(Image.open(BytesIO(picture)).info.keys() & {"Software", "dpi"} for picture in pictures(notebook))


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_says_what_it_teaches_what_to_take_away_and_how_it_serves_own_data(tutorial: Path) -> None:
    text = [cell.source for cell in read(tutorial).cells if cell.cell_type == "markdown"]
    title, first, *_, away, own = _HEADING.findall("\n".join(text))
    assert text[0].startswith(f"# {title}\n") and first == "What you learn"
    assert len(re.findall(r"^- ", text[0].partition("## What you learn")[2], re.MULTILINE)) == 3
    assert (away, own) == ("What to take away", "With your own data")


def run_of(*outputs: NotebookNode) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(outputs=list(outputs), metadata={"execution": {"iopub.execute_input": "now"}})
    return nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": {"name": "python3", "display_name": "mine"}})


def text_of(name: str, text: str) -> NotebookNode:
    return nbformat.v4.new_output("stream", name=name, text=text)


def test_streams_are_joined_and_lose_files_and_warnings_of_others() -> None:
    library = f"{ast.__file__}:3: FutureWarning: soon\n  odd()\n"
    notebook = run_of(
        text_of("stdout", "a\n"),
        text_of("stderr", library),
        text_of("stdout", "File /tmp/ipykernel_12/345.py, line 3\n"),
        text_of("stderr", "logged\n"),
    )
    settle(notebook)
    assert notebook.metadata == METADATA and notebook.cells[0].metadata == {}
    assert [(output.name, output.text) for output in notebook.cells[0].outputs] == [
        ("stderr", "logged\n"),
        ("stdout", "a\nFile cell.py, line 3\n"),
    ]


def test_pictures_keep_their_colours_and_nothing_of_what_wrote_them() -> None:
    content = BytesIO()
    drawn = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    drawn.paste((0, 114, 178, 255), (0, 0, 20, 20))
    drawn.save(content, "PNG", dpi=(110, 110))
    data = {"image/png": base64.b64encode(content.getvalue()).decode(), "image/jpeg": "", "text/plain": "<Figure>"}
    notebook = run_of(nbformat.v4.new_output("display_data", data=data))
    settle(notebook)
    (picture,) = pictures(notebook)
    found = Image.open(BytesIO(picture))
    assert {*notebook.cells[0].outputs[0].data} == {"image/png", "text/plain"} and not found.info.keys() & {"dpi"}
    assert [found.convert("RGB").getpixel((x, 5)) for x in (5, 35)] == [(0, 114, 178), (255, 255, 255)]


@pytest.mark.parametrize("text", ["/home/me/x", "in /tmp/a", "C:\\x", "<Axes at 0x7f12ab34cd>"])
def test_what_tells_of_a_machine_is_found(text: str) -> None:
    assert MACHINE.search(text)


@pytest.mark.parametrize("text", ["E2 / ANN", "docs/home/x", "0x12"])
def test_what_tells_nothing_is_not(text: str) -> None:
    assert not MACHINE.search(text)
