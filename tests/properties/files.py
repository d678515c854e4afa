"""What a file keeps of a network."""

from __future__ import annotations

import tempfile
from pathlib import Path

import snnconv
from tests.properties.registry import assert_equal, holds
from tests.support.random_networks.specimen import Specimen


@holds("files keep the network")
def files_keep_the_network(specimen: Specimen) -> None:
    """A network that was saved and loaded gives the same output, bit for bit, and the same spikes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.snn"
        specimen.network.save(path)
        loaded = snnconv.load(path)
    found, expected = loaded.run(specimen.given), specimen.network.run(specimen.given)
    assert_equal(found.output, expected.output, "output after loading")
    assert found.spikes == expected.spikes and found.synops == expected.synops
