"""Fixtures of the tests of programs in C."""

from __future__ import annotations

import os
import shutil

import pytest

#: Warnings that are errors, in all programs.
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-pedantic")


@pytest.fixture(scope="session")
def compiler() -> str:
    """A C compiler; without one these tests skip, but in CI they fail."""
    found = shutil.which("gcc")
    if found is None and os.environ.get("CI"):
        pytest.fail("gcc is not installed: in CI the checks on compiled programs must run")
    if found is None:
        pytest.skip("gcc is not installed")
    return found
