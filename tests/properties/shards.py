"""What results on parts of a data set are: together they are the result on the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import snnconv
from tests.properties.registry import holds
from tests.support.random_networks.specimen import Specimen

_CUT = 5


@holds("shards merge to the whole")
def shards_merge_to_the_whole(specimen: Specimen) -> None:
    """Evaluations, spike statistics and verifications of two parts, merged either way, are those of both at once."""
    network, data = specimen.network, specimen.data
    parts = [data(tuple(x[:_CUT] for x in specimen.inputs)), data(tuple(x[_CUT:] for x in specimen.inputs))]
    # What is drawn for a sample goes by how many come before it.
    measures: tuple[Callable[..., Any], ...] = (snnconv.evaluate, snnconv.spike_statistics, snnconv.verify)
    for measure in measures:
        whole = measure(network, parts)
        one, other = (measure(network, part, before=_CUT * number) for number, part in enumerate(parts))
        assert one.merge(other) == other.merge(one) == whole, measure.__name__
        assert one != whole
