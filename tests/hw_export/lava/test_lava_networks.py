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

import hw_export.lava.launch as launching
from hw_export.lava.launch import LavaResult, launch
from tests.hw_export.lava.lava_bundles import Builder
from tests.hw_export.lava.lava_networks import NETWORKS
from tests.hw_export.lava.lava_reference import Reference, simulate

sys.path.append(str(launching.MAIN.parent))  # the runtime is a program of its own, its folder no package

from lava_runtime.behaviour.columns import Columns

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


@pytest.mark.usefixtures("loaded_lava")
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


@pytest.mark.usefixtures("loaded_lava")
@pytest.mark.parametrize("name", ["streams", "geometries"])
def test_lavas_own_synapses_give_the_same(name: str, tmp_path: Path) -> None:
    assert differences(name, run(name, tmp_path, synapses="lava")) == []


def test_other_interpreters_give_the_same(tmp_path: Path) -> None:
    interpreters = other_interpreters()
    if not interpreters:
        pytest.skip(f"no other interpreter has lava; {VARIABLE} may name some")
    for version, interpreter in interpreters.items():
        for name in ("streams", "geometries"):
            result = run(name, tmp_path, interpreter=interpreter)
            assert differences(name, result) == [], version
            assert result.python == version


@pytest.mark.usefixtures("loaded_lava")
def test_nothing_is_recorded_unless_asked(tmp_path: Path) -> None:
    net = NETWORKS["parts"]()
    result = launch(net.save(tmp_path / "net.npz"), net.samples(2), interpreter=sys.executable, timeout=300)
    assert result.rasters == {}
    assert result.steps == 1 * net.manifest["interval"] + net.manifest["steps"] + 5


def test_channels_of_two_messages_suffice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "narrow.py"
    program.write_text(
        f"import os, sys\nsys.path.insert(0, {str(launching.MAIN.parent)!r})\nimport main\n"
        "from lava_runtime.compatibility import load_lava\nload_lava()\n"
        "from lava_runtime import assembly\nassembly._CHANNEL_BYTES = 0\nos._exit(main.main())\n"
    )
    monkeypatch.setattr(launching, "MAIN", program)
    assert differences("gates", run("gates", tmp_path)) == []


def test_what_only_lavas_own_convolutions_need_is_loaded_by_them() -> None:
    program = f"""
import sys
sys.path.insert(0, {str(launching.MAIN.parent)!r})
import numpy as np
from lava_runtime.compatibility import load_lava
load_lava()
import lava_runtime.assembly
assert "scipy.signal" not in sys.modules
from lava.proc.conv import utils
print(utils.conv(np.ones((3, 3, 1)), np.ones((1, 3, 3, 1)), (3, 3), (1, 1), (0, 0), (1, 1), 1).item())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "9.0\n"), done.stderr


@pytest.mark.usefixtures("loaded_lava")
def test_convolutions_wrap_where_those_of_lava_do(tmp_path: Path) -> None:
    net = Builder(steps=2, seed=9)
    net.input("image", (2, 5, 5))
    net.output("sum", (3, 5, 5), 1)
    net.convolution("image", "sum")
    path, inputs = net.save(tmp_path / "net.npz"), net.samples(2, -(1 << 21), 1 << 21)
    fast = launch(path, inputs, timeout=300)
    own = launch(path, inputs, synapses="lava", timeout=300)
    np.testing.assert_array_equal(fast.outputs["sum"], own.outputs["sum"])
    exact = simulate(net.manifest, net.arrays, inputs).outputs["sum"]
    assert (own.outputs["sum"] != exact).any()


@pytest.mark.parametrize("largest", [100, 1 << 22])
@pytest.mark.parametrize("groups", [1, 2])
def test_products_are_exact_in_the_precision_that_is_chosen(largest: int, groups: int) -> None:
    random = np.random.default_rng(largest)
    payload = random.integers(largest - 9, largest, (6, 7, 4))
    weight = random.integers(-128, 128, (2, 3, 2, 4 // groups))
    columns = Columns(weight, (1, 2), (1, 0), (2, 1), groups, (4, 3, 2))
    result = columns.convolve(payload, integers=True)
    assert result.dtype == (np.float32 if largest == 100 else np.float64)
    padded, kernel = np.pad(payload, ((1, 1), (0, 0), (0, 0))), weight[:, ::-1, ::-1]
    for x, y, target in np.ndindex(4, 3, 2):
        first = target // (2 // groups) * (4 // groups)
        seen = padded[x : x + 5 : 2, 2 * y : 2 * y + 2, first : first + 4 // groups]
        assert result[x, y, target] == (seen * kernel[target]).sum()
