"""What every converted network keeps, on random networks."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

import snnconv
from tests.support.pipelines import CODES
from tests.support.random_networks.promises import PROMISES, Specimen
from tests.support.random_networks.script import Script
from tests.support.random_networks.strategies import scripts


@given(scripts(), st.sampled_from(list(CODES)))
def test_a_random_network_keeps_every_promise(script: Script, code: str) -> None:
    specimen = Specimen(script, CODES[code])
    try:
        assert specimen.network
    except snnconv.ConfigurationError as refusal:
        assume("max pooling" not in str(refusal))  # what a pipeline may not compare
        raise
    for name, promise in PROMISES.items():
        try:
            promise(specimen)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
