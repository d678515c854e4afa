"""Places: the line of the user's own code on which an operation was written, or at which an error came about."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

import torch
from torch.fx import Node as FxNode

from snnconv.graph.graph import Source

_TORCH_DIRECTORY = f"{Path(torch.__file__).parent}{os.sep}"
_PROJECT_DIRECTORIES = tuple(
    f"{Path(__file__).parents[2] / package}{os.sep}" for package in ("coding", "neurons", "snnconv", "hw_export")
)
_STANDARD_LIBRARY = f"{sysconfig.get_path('stdlib')}{os.sep}"
#: Folders of installed packages, which may lie inside that of the standard library.
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_FRAME = re.compile(r'File "(?P<file>.+?)", line (?P<line>\d+), in .+\n\s*(?P<text>.*)')


def is_users(file: str) -> bool:
    """Whether a model may have been written in this file: it is neither torch's, nor Python's, nor this project's."""
    if file.startswith(("<", _TORCH_DIRECTORY, *_PROJECT_DIRECTORIES)):
        return False
    return _is_installed(file) or not file.startswith(_STANDARD_LIBRARY)


def _is_installed(file: str) -> bool:
    return any(folder in file for folder in _PACKAGES)


def place_of(node: FxNode) -> Source:
    """Where an operation of an exported program was written; without a line, where the first that uses it was.

    What torch itself puts in front of an operation, such as a cast, belongs to it.
    """
    for candidate in (node, *node.users):
        found = _place(candidate)
        if found.file:
            return found
    return _place(node)


def _place(node: FxNode) -> Source:
    module, kind = "", ""
    for path, module_type in (node.meta.get("nn_module_stack") or {}).values():
        module = re.sub(r"^L\['self'\]\.?|^L__self__\.?", "", path)
        kind = module_type if isinstance(module_type, str) else f"{module_type.__module__}.{module_type.__qualname__}"
    frames = _FRAME.finditer(node.meta.get("stack_trace") or "")
    file, line, text = _chosen((frame["file"], int(frame["line"]), frame["text"].strip()) for frame in frames)
    return Source(file, line, text, module, kind)


def place_of_error(error: BaseException) -> Source:
    """The line on the way to the error, or to what caused it."""
    current: BaseException | None = error
    while current is not None:
        frames = traceback.extract_tb(current.__traceback__)
        found = Source(*_chosen((frame.filename, frame.lineno or 0, frame.line or "") for frame in frames))
        if found.file:
            return found
        current = current.__cause__ or current.__context__
    return Source()


def _chosen(frames: Iterable[tuple[str, int, str]]) -> tuple[str, int, str]:
    """The deepest frame outside installed packages; where all lies in one, its deepest line is better than none."""
    where_models_are = [frame for frame in frames if is_users(frame[0])]
    own = [frame for frame in where_models_are if not _is_installed(frame[0])]
    return (own or where_models_are or [("", 0, "")])[-1]
