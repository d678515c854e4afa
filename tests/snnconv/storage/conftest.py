"""Fixtures of the tests of storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.networks import network_of


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "network.snn"
    network_of("deep", 12).save(path)
    return path
