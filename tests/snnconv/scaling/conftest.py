"""Workers that all tests of this folder share, since they take seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import snnconv


@pytest.fixture(scope="package")
def pool() -> Iterator[snnconv.Workers]:
    with snnconv.Workers(2) as workers:
        yield workers
