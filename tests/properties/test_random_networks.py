"""What every converted network keeps, on random networks and on those that once broke it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given

import snnconv
from tests.properties.checking import check
from tests.properties.corpus import FOLDER, read
from tests.support.random_networks.codings import Setting, settings
from tests.support.random_networks.script import Script
from tests.support.random_networks.specimen import Specimen, is_refused
from tests.support.random_networks.strategies import scripts


@given(scripts(), settings())
def test_a_random_network_keeps_every_property(script: Script, setting: Setting) -> None:
    specimen = Specimen(script, setting)
    try:
        assert specimen.network
    except snnconv.ConfigurationError as refusal:
        assume(not is_refused(refusal))
        raise
    assert check(specimen)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_network_that_broke_a_property_keeps_all_now(path: Path) -> None:
    assert check(read(path))
