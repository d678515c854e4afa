"""The program with arguments that are a mistake."""

from __future__ import annotations

import sys

import pytest

from snnconv.cli import main


def failure(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What it writes to standard error as it ends with 2."""
    monkeypatch.setattr(sys, "argv", ["snnconv", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    written = capsys.readouterr().err
    assert "Traceback" not in written
    return written
