"""``python -m tests.notebooks [FILE ...]`` executes tutorials, by default all, and saves their outputs in them."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat

from tests.notebooks.executing import TUTORIALS, executed, loaded_kernels
from tests.notebooks.outputs import settle


def main(arguments: list[str]) -> None:
    os.environ.pop("SNNCONV_DATA", None)  # outputs are those of a reader who has nothing but the package
    with tempfile.TemporaryDirectory() as name, loaded_kernels(Path(name)):
        for number, tutorial in enumerate([Path(argument) for argument in arguments] or TUTORIALS):
            notebook = executed(tutorial, Path(name, str(number)))
            settle(notebook)
            nbformat.write(notebook, tutorial)
            print(f"{tutorial.name}: {tutorial.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
