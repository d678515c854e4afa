"""What the figures of benchmarks are kept with."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import origin


@pytest.mark.parametrize("folder", [(), (".git",)], ids=["no repository", "one that git does not read"])
def test_figures_are_kept_where_there_is_no_commit(
    folder: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in folder:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(origin, "ROOT", tmp_path)
    assert origin.origin()["commit"] == "unknown"
