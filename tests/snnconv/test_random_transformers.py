"""A few random transformers keep what is promised; ``python -m tests.fuzz transformers`` draws as many as asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import transformers
from tests.support import random_transformers
from tests.support.random_transformers import check_transformer


@pytest.mark.parametrize("seed", [0, 4, 13])
def test_a_random_transformer_fires_alike_in_both_simulators_and_nothing_through_masks(seed: int) -> None:
    check_transformer(seed)


def test_what_a_transformer_breaks_is_told_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(seed: int) -> None:
        assert seed != 6, "a padded token changes others"

    monkeypatch.setattr(transformers, "check_transformer", broken)
    asked = ["--seed", "5", "--results", str(tmp_path / "found.json")]
    assert transformers.main([*asked, "--count", "1"]) == 0  # and goes on from there
    assert transformers.main([*asked, "--count", "3"]) == 1
    assert random_transformers.Drawn.of(6) == random_transformers.Drawn.of(6)
    told = capsys.readouterr().out
    assert "seed 6" in told and "a padded token changes others" in told and "3 transformers, 1 of them broke" in told
