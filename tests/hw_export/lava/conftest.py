"""Fixtures of the tests of export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import hw_export.lava.launch as launching
from tests.support.fork_server import client_of


@pytest.fixture(scope="session")
def lava_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A program that does what the runtime's ``main.py`` does, in a fork of one process that has loaded Lava."""
    arguments = [str(launching.MAIN.parent)]
    with client_of("tests.hw_export.lava.lava_server", arguments, tmp_path_factory.mktemp("lava")) as client:
        yield client


@pytest.fixture
def loaded_lava(lava_client: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs on Lava start from a process that has loaded it, which takes most of the time of a small run."""
    monkeypatch.setattr(launching, "MAIN", lava_client)
