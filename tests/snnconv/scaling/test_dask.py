"""A client of Dask is an executor as it is."""

from __future__ import annotations

import distributed
import pytest

import snnconv
from snnconv.errors import WorkerError
from tests.snnconv.metrics.test_merging import FAMILIES, network_of
from tests.snnconv.scaling.test_evaluation_elsewhere import parts


@pytest.mark.filterwarnings("default")  # of a cluster that ends
def test_a_cluster_counts_what_one_process_counts_and_says_where_it_is_dead() -> None:
    network, options = network_of("rate, spiking input"), FAMILIES["rate, spiking input"].options
    here = snnconv.evaluate(network, parts(), **options)
    local = distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None)
    with local as cluster, distributed.Client(cluster) as client:
        assert snnconv.evaluate(network, parts(), executor=client, workers=2, **options) == here
    with pytest.raises(WorkerError, match=r"the executor \(Client\) failed"):
        snnconv.evaluate(network, parts(), executor=client, **options)
