"""A network as data: simulators, reports and files need no more of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from coding import Code, Concurrent, FewSpike, Pipeline, Rate, Schedule
from snnconv import SpikingNetwork, convert, load
from snnconv.simulators import simulator_for
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.report import network_report
from snnconv.storage.manifest import manifest_of
from snnconv.storage.saving import read, save


@pytest.mark.parametrize(("code", "schedule"), [(Rate(6), Concurrent(6)), (FewSpike(4, spikes=2), Pipeline())])
def test_data_alone_can_be_stored_read_simulated_and_reported(code: Code, schedule: Schedule, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 3)).eval()
    x = torch.rand(20, 5)
    network = convert(model, x, coding=code, schedule=schedule)
    network.save(tmp_path / "network.snn")
    data = read(tmp_path / "network.snn", NetworkBase)
    assert type(data) is NetworkBase and not hasattr(data, "run")
    output, _ = simulator_for(data).run(data.check(x), [])
    assert torch.equal(output, network(x))
    assert network_report(data) == network.report()
    assert data.has_closed_form == network.has_closed_form == (network.timing is not None)
    save(data, tmp_path / "data.snn")
    loaded = load(tmp_path / "data.snn")
    assert type(loaded) is SpikingNetwork and manifest_of(loaded) == manifest_of(network)
    assert torch.equal(loaded(x), output)
