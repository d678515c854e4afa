"""What of a run's outputs is saved in a tutorial: what it says and draws, small, and nothing of the machine."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from itertools import groupby

from nbformat import NotebookNode
from PIL import Image

from tests.notebooks.executing import WARNING, code_cells

#: Bytes that a picture and a file may have.
LARGEST_PICTURE, LARGEST_NOTEBOOK = 60_000, 300_000
#: Of every tutorial, whatever kernel ran it.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
#: What outputs must not tell: where files lie, and where objects lie in memory.
MACHINE = re.compile(r"(?<![\w.])/(?:home|mnt|opt|private|root|tmp|usr|Users|var|work)/|\b[A-Z]:\\|\b0x[0-9a-f]{6,}\b")

_CELL_FILE = re.compile(r"\S*ipykernel_\d+[/\\]\d+\.py")
_COLOURS = 128


def settle(notebook: NotebookNode) -> None:
    """Make ``notebook`` the same for every run and every machine that computes alike."""
    notebook.metadata = METADATA
    for cell in notebook.cells:
        cell.metadata = {}
    for cell in code_cells(notebook):
        cell.outputs = [_settled(output) for output in _joined(cell.outputs)]


def said(notebook: NotebookNode) -> str:
    """All text in the outputs of ``notebook``."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return "\n".join(output.get("text", output.get("data", {}).get("text/plain", "")) for output in outputs)


def pictures(notebook: NotebookNode) -> list[bytes]:
    """The PNG files in the outputs of ``notebook``."""
    found = [output.data for cell in code_cells(notebook) for output in cell.outputs if "data" in output]
    return [base64.b64decode(data["image/png"]) for data in found if "image/png" in data]


def kinds(cell: NotebookNode) -> list[str]:
    """Names of streams and formats of displays in the outputs of ``cell``."""
    return [output.get("name") or "+".join(sorted(output.data)) for output in cell.outputs]


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Streams between displays as one each, errors first: how they interleave is a matter of time."""
    found: list[NotebookNode] = []
    for streams, group in groupby(outputs, lambda output: output.output_type == "stream"):
        if not streams:
            found += group
            continue
        for _, parts in groupby(sorted(group, key=lambda output: output.name), lambda output: output.name):
            first, *others = parts
            first.text = WARNING.sub("", "".join(each.text for each in (first, *others)))  # of other libraries
            found += [first] if first.text else []
    return found


def _settled(output: NotebookNode) -> NotebookNode:
    if output.output_type == "stream":
        output.text = _CELL_FILE.sub("cell.py", output.text)
    elif "image/png" in output.data:
        output.metadata = {}
        output.data.pop("image/jpeg", None)  # pillow shows both
        output.data["image/png"] = base64.b64encode(_small(base64.b64decode(output.data["image/png"]))).decode()
    return output


def _small(png: bytes) -> bytes:
    """The picture with a palette, without what wrote it."""
    picture = Image.open(BytesIO(png)).convert("RGBA")
    on_white = Image.new("RGBA", picture.size, "white")
    on_white.alpha_composite(picture)
    content = BytesIO()
    few = on_white.convert("RGB").quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(content, "PNG", optimize=True)
    return content.getvalue()
