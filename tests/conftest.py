"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when triton is first imported

#: Random networks take a second each: few examples, always the same; ``--hypothesis-profile long`` looks for new ones.
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "few", max_examples=8, derandomize=True, database=None, deadline=None, suppress_health_check=_SLOW
)
settings.register_profile("long", max_examples=300, derandomize=False, deadline=None, suppress_health_check=_SLOW)
settings.load_profile("few")


def pytest_collection_finish() -> None:
    """Nothing that came with the tests is garbage: whoever looks for some need not look through all of it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real datasets and trained networks, named by SNNCONV_DATA."""
    location = os.environ.get("SNNCONV_DATA")
    if location:
        folder = Path(location).resolve()
        if not folder.is_dir():
            pytest.fail(f"SNNCONV_DATA names {location!r}, which is not a folder")
        return folder
    if os.environ.get("CI"):
        pytest.fail("SNNCONV_DATA is not set: in CI the checks on real data must run")
    pytest.skip("needs real data: set SNNCONV_DATA to the folder that holds it")


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    """A test that leaves settings of the process behind fails itself, not the one after it."""
    before = _process_settings()
    yield
    assert _process_settings() == before


def _process_settings() -> dict[str, Any]:
    return {
        "logging.disable": logging.root.manager.disable,
        "level of snnconv": (logging.getLogger("snnconv").level, logging.getLogger("snnconv").propagate),
        "folder": Path.cwd(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "grad mode": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
