"""Figures in files, written whole or not at all."""

from __future__ import annotations

import io
import os
from typing import Any

from snnconv.errors import StorageError
from snnconv.storage.atomic import write_whole

#: Width of a page of print in inches, and dots of an inch for pixels of what fits it, and of what is for screens.
_PAGE, _PRINT, _SCREEN = 7.0, 300, 150


def save_figure(figure: Any, file: str) -> None:
    """Write ``figure`` to ``file``, in the format of its suffix, and close it; raises ``StorageError``."""
    from matplotlib import pyplot

    suffix = os.path.splitext(file)[1][1:]
    kind, content = suffix or figure.canvas.get_default_filetype(), io.BytesIO()
    try:
        figure.savefig(content, dpi=_PRINT if figure.get_figwidth() <= _PAGE else _SCREEN, format=kind)
    except ValueError as error:  # for a format that there is not
        raise StorageError(f"{file} cannot be written: {error}") from error
    finally:
        pyplot.close(figure)
    write_whole(file if suffix else f"{file}.{kind}", content.getvalue())
