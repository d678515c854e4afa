"""Sessions: runs one after the other in the same processes, each as if it were alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves

from hw_export import lava
from hw_export.lava.bundle import read_network
from snnconv import ConfigurationError, InputError
from tests.support.exported import converted, images


@pytest.mark.parametrize(
    ("name", "code", "options"),
    [("residual", "rate", {"reset": "zero"}), ("pooled", "phase", {})],
)
def test_every_run_of_a_session_fires_spike_for_spike_as_the_clock(
    name: str, code: str, options: Any, tmp_path: Path
) -> None:
    path = tmp_path / "network.npz"
    report = lava.export(converted(name, code), path, input_bits=4, allow_loss=100.0, **options)
    assert bool(options) == any(placement.built_in for placement in report.placements[1:3])
    simulation, _, _ = read_network(path)
    with lava.session(path, record=["rasters"], batch=3) as session:
        for seed, count in ((1, 2), (2, 5), (3, 1)):
            x = images(count, seed=seed).float()
            run = session.run(x)
            expected = simulation.run(x.double(), simulator="clock", record=["rasters"])
            assert run.spikes == expected.spikes and run.samples == count
            for label, raster in expected.rasters.items():
                assert torch.equal(run.rasters[label], raster), (seed, label)
            for one, two in zip(tree_leaves(run.output), tree_leaves(expected.output), strict=True):
                torch.testing.assert_close(one, two, rtol=0, atol=1e-9)
        with pytest.raises(InputError):
            session.run(images(2)[:, :1])
        assert session.run(images(1)).samples == 1  # what was refused before it ran ends nothing
    session.close()


def test_options_of_a_session_are_checked(tmp_path: Path) -> None:
    lava.export(converted("residual", "rate"), tmp_path / "network.npz", input_bits=4)
    for options in ({"batch": 0}, {"timeout": 0.0}, {"record": "relu"}, {"arithmetic": "fixd"}):
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            lava.session(tmp_path / "network.npz", **options)  # type: ignore[arg-type]
