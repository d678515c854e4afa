"""Runs on Lava against a simulation of single neurons: spike for spike, in every arithmetic and interpreter."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hw_export.lava.launch import LavaResult, launch
from tests.hw_export.lava_networks import NETWORKS
from tests.hw_export.lava_reference import Reference, simulate

#: Interpreters to try besides this one, as paths joined by ``os.pathsep``: they must have lava.
VARIABLE = "SNNCONV_LAVA_PYTHON"
OTHERS = ("python3.10", "python3.11", "python3.12", "python3.13")


def other_interpreters() -> dict[str, str]:
    """Interpreters by version that can import numpy, scipy and lava, this one left out."""
    named = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]
    found = [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.1[0-3]*/bin/python"))]
    found += [path for path in map(shutil.which, OTHERS) if path]
    interpreters: dict[str, str] = {}
    for path in [*named, *found]:
        program = "import platform, numpy, scipy, lava; print(platform.python_version())"
        try:
            done = subprocess.run([path, "-c", program], capture_output=True, text=True, timeout=60)
            version = done.stdout.strip() if done.returncode == 0 else ""
        except (OSError, subprocess.TimeoutExpired):
            version = ""
        if not version and path in named:
            version = f"{path} without lava"  # that fails the test: it was asked for
        if version and version != platform.python_version():
            interpreters.setdefault(version, path)
    return interpreters


INTERPRETERS = other_interpreters()


@cache
def expected(name: str) -> Reference:
    net = NETWORKS[name]()
    return simulate(net.manifest, net.arrays, net.samples(3))


def differences(name: str, result: LavaResult) -> list[str]:
    """What of ``result`` differs from the reference."""
    reference = expected(name)
    assert set(result.outputs) == set(reference.outputs)
    assert set(result.rasters) == set(result.spikes) == set(reference.rasters)
    wrong = [key for key, values in reference.outputs.items() if not np.array_equal(result.outputs[key], values)]
    wrong += [key for key, values in reference.rasters.items() if not np.array_equal(result.rasters[key], values)]
    wrong += [key for key, values in reference.rasters.items() if result.spikes[key].sum() != np.count_nonzero(values)]
    return wrong


def run(name: str, folder: Path, **options: object) -> LavaResult:
    net = NETWORKS[name]()
    samples = net.samples(3)
    return launch(net.save(folder / "net.npz"), samples, record=list(expected(name).rasters), timeout=300, **options)


@pytest.mark.parametrize("arithmetic", ["fixed", "float"])
@pytest.mark.parametrize("name", NETWORKS)
def test_lava_equals_single_neurons(name: str, arithmetic: str, tmp_path: Path) -> None:
    result = run(name, tmp_path, arithmetic=arithmetic)
    assert differences(name, result) == []
    kind = np.int64 if arithmetic == "fixed" else np.float64
    assert {values.dtype for values in result.outputs.values()} == {np.dtype(kind)}
    assert {values.dtype for values in result.rasters.values()} == {np.dtype(np.int32)}
    assert result.python == platform.python_version()
    assert result.lava == "0.10.0"
    assert set(result.seconds) == {"build", "compile", "run"}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_spike_in_every_population(name: str) -> None:
    for population, raster in expected(name).rasters.items():
        assert raster.any() != (population == "silent"), population


@pytest.mark.parametrize("name", ["streams", "geometries"])
def test_lavas_own_synapses_give_the_same(name: str, tmp_path: Path) -> None:
    assert differences(name, run(name, tmp_path, synapses="lava")) == []


@pytest.mark.parametrize(
    "version",
    [pytest.param(version, id=f"python-{version}") for version in INTERPRETERS]
    or [
        pytest.param("none", marks=pytest.mark.skip(reason=f"no other interpreter has lava; {VARIABLE} may name some"))
    ],
)
def test_other_interpreters_give_the_same(version: str, tmp_path: Path) -> None:
    for name in ("streams", "geometries"):
        result = run(name, tmp_path, interpreter=INTERPRETERS[version])
        assert differences(name, result) == []
        assert result.python == version


def test_nothing_is_recorded_unless_asked(tmp_path: Path) -> None:
    net = NETWORKS["parts"]()
    result = launch(net.save(tmp_path / "net.npz"), net.samples(2), interpreter=sys.executable, timeout=300)
    assert result.rasters == {}
    assert result.steps == 1 * net.manifest["interval"] + net.manifest["steps"] + 5
