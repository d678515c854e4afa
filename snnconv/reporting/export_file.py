"""The figures of an export, as ``snnconv export --json`` writes them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from snnconv.errors import InputError

#: Bytes of a file at most, and the largest number in it.
_MOST_BYTES, _MOST = 2**26, 2**63


def read_export(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What the file ``path`` says of an export.

    Raises ``InputError`` for a file that is missing, too large, or something else.
    """
    source = Path(path)
    try:
        if source.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} cannot be read: it is larger than figures of an export are")
        content = json.loads(source.read_bytes(), parse_int=_whole)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(_other(path, error)) from error
    if not isinstance(content, dict) or not isinstance(content.get("fidelity"), dict):
        raise InputError(_other(path, "it has no fidelity"))
    return content


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) >= _MOST:
        raise ValueError(f"{text[:20]}... is no figure")
    return number


def _other(path: str | os.PathLike[str], why: object) -> str:
    return f"{path} cannot be read as figures of an export, which snnconv export --json writes: {why}"
