"""All properties of one network, checked."""

from __future__ import annotations

from tests.properties import calibration, convergence, files, integers, programs, shards, simulation, structure
from tests.properties.registry import PROPERTIES
from tests.support.random_networks.specimen import Specimen

#: Modules of properties; importing one registers its properties.
FAMILIES = (structure, simulation, files, calibration, integers, programs, shards, convergence)


def check(specimen: Specimen) -> list[str]:
    """Names of the properties that ``specimen`` was asked for and keeps.

    Raises ``AssertionError`` that names the first one broken.
    """
    kept = []
    for name, each in PROPERTIES.items():
        if not each.applies(specimen):
            continue
        try:
            each.check(specimen)
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error
        kept.append(name)
    return kept
