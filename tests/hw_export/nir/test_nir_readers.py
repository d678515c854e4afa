"""Who reads exported NIR graphs, and how: what docs/nir.md says of readers, run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import nirtorch
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.nir_readers import READERS, Reader, differing
from benchmarks.peer_imports import PeerMissing, import_peer
from hw_export.nir import export, load, node_map
from hw_export.nir.profiles import PROFILES
from snnconv import SpikingNetwork
from snnconv.errors import ConfigurationError
from tests.hw_export.nir.nir_networks import MODELS, NEURONS, STEPS, assert_same_spikes, clock, converted

pytestmark = pytest.mark.filterwarnings("ignore:nirtorch.load is being deprecated:DeprecationWarning")

BRANCHED = ("skip", "joined", "concatenation", "straight")
SEQUENTIAL = tuple(name for name in MODELS if name not in BRANCHED)
BY_NAME = {reader.name: reader for reader in READERS}


def reader_of(name: str) -> Reader:
    """A reader, if it is installed."""
    try:
        import_peer(name)
    except PeerMissing as missing:
        pytest.skip(f"{missing} (benchmarks/requirements-peers.txt)")
    return BY_NAME[name]


def written(network: SpikingNetwork, folder: Path, profile: Any = None) -> Path:
    export(network, folder / "network.nir", profile=profile)
    return folder / "network.nir"


def run(name: str, path: Path, x: Tensor, reset: str = "zero") -> dict[str, Tensor]:
    """Spikes of every population in a reader."""
    return reader_of(name).rasters(path, x, STEPS, reset)[1]


@pytest.mark.parametrize("made", NEURONS)
@pytest.mark.parametrize("name", MODELS)
def test_ours_reads_everything(name: str, made: str, tmp_path: Path) -> None:
    network, x = converted(name, made, torch.float64, exact=False)
    output, rasters = clock(network, x)
    for source in (export(network, tmp_path / "network.nir"), tmp_path / "network.nir"):
        mean, found = load(source).run(x)
        assert_same_spikes(found, rasters)
        torch.testing.assert_close(mean, output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("made", NEURONS)
@pytest.mark.parametrize("name", MODELS)
def test_nirtorch_with_our_map_reads_everything(name: str, made: str, tmp_path: Path) -> None:
    network, x = converted(name, made)
    output, rasters = clock(network, x)
    returned, found = BY_NAME["nirtorch"].rasters(written(network, tmp_path), x, STEPS)
    assert_same_spikes(found, rasters)
    torch.testing.assert_close(returned.mean(0).reshape(output.shape), output)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("profile", PROFILES)
def test_readers_run_what_is_written_for_them(profile: str, name: str, tmp_path: Path) -> None:
    """Potentials are often exactly on the threshold here, where each decides in a way of its own."""
    network, x = converted(name)
    if name in BRANCHED and not PROFILES[profile].joins:
        with pytest.raises(ConfigurationError, match=f"{profile}'s reader of NIR delivers one of several branches"):
            written(network, tmp_path, profile)
        return
    output, rasters = clock(network, x)
    path = written(network, tmp_path, profile)
    assert_same_spikes(load(path).run(x)[1], rasters)
    returned, found = reader_of(profile).rasters(path, x, STEPS)
    assert_same_spikes(found, rasters)
    torch.testing.assert_close(returned.mean(0).reshape(output.shape), output)


def test_sinabs_runs_reset_by_subtraction_where_it_is_told_to(tmp_path: Path) -> None:
    network, x = converted("digits", "from zero")
    path = written(network, tmp_path, "sinabs")
    rasters = clock(network, x)[1]
    assert_same_spikes(load(path).run(x)[1], rasters)
    assert_same_spikes(run("sinabs", path, x, "subtract"), rasters)


def test_sinabs_has_to_be_told(tmp_path: Path) -> None:
    reader_of("sinabs")
    network, x = converted("digits")
    path = written(network, tmp_path, "sinabs")
    untold = Reader(
        "sinabs", "sinabs", lambda path, n, _: import_peer("sinabs.nir").from_nir(nir.read(path), n), keeps_state=True
    )
    assert differing(untold.rasters(path, x, STEPS)[1], clock(network, x)[1])


@pytest.mark.parametrize("profile", PROFILES)
def test_what_a_reader_would_run_with_other_spikes_is_refused(profile: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"layers\.1, layers\.3: {profile}'s reader of NIR starts from 0"):
        export(converted("deep", "zero")[0], profile=profile)  # type: ignore[arg-type]
    if not PROFILES[profile].subtracts:
        with pytest.raises(ConfigurationError, match=r"layers\.3: .* resets to zero, not by subtraction"):
            export(converted("deep", "from zero")[0], profile=profile)  # type: ignore[arg-type]
    double = converted("deep", dtype=torch.float64)[0]
    if not PROFILES[profile].double:
        with pytest.raises(ConfigurationError, match=r"single precision.*network\.float\(\)"):
            export(double, profile=profile)  # type: ignore[arg-type]
    else:
        assert export(double, profile=profile).nodes["layers_1"].v_threshold.dtype == "float64"  # type: ignore[arg-type]


def test_spikingjelly_reads_double_precision_too(tmp_path: Path) -> None:
    reader_of("spikingjelly")
    network, x = converted("digits", dtype=torch.float64)
    exchange = import_peer("spikingjelly.activation_based.nir_exchange.from_nir")
    double = Reader("spikingjelly", None, lambda path, *_: exchange.import_from_nir(path, dtype=torch.float64))
    path = written(network, tmp_path, "spikingjelly")
    assert_same_spikes(double.rasters(path, x, STEPS)[1], clock(network, x)[1])


def test_spikingjelly_reads_a_file_without_a_profile_with_a_step_of_1(tmp_path: Path) -> None:
    reader_of("spikingjelly")
    network, x = converted("digits")
    exchange = import_peer("spikingjelly.activation_based.nir_exchange.from_nir")
    told = Reader("spikingjelly", None, lambda path, *_: exchange.import_from_nir(path, dt=1.0))
    path = written(network, tmp_path)
    assert_same_spikes(told.rasters(path, x, STEPS)[1], clock(network, x)[1])
    with pytest.raises(ValueError, match="must equal 1 / dt"):
        run("spikingjelly", path, x)


@pytest.mark.parametrize("name", ["norse", "sinabs"])
def test_readers_without_joins_run_branches_with_other_spikes(name: str, tmp_path: Path) -> None:
    network, x = converted("skip")
    assert differing(run(name, written(network, tmp_path), x), clock(network, x)[1])


def test_norse_is_silent_for_lif_nodes(tmp_path: Path) -> None:
    network, x = converted("deep")
    found = run("norse", written(network, tmp_path, "snntorch"), x)
    assert not any(raster.any() for raster in found.values())


def test_norse_delays_the_branches_it_visits_last(tmp_path: Path) -> None:
    network, x = converted("skip")
    path = written(network, tmp_path)
    returned, found = BY_NAME["norse"].rasters(path, x, 1)
    # It returns what it ran last, which is the shortcut.
    assert returned[0].shape == found["relu_2"][0].shape
    graph, found, rasters = nir.read(path), run("norse", path, x), clock(network, x)[1]
    assert_same_spikes({name: found[name] for name in ("relu", "relu_1")}, {n: rasters[n] for n in ("relu", "relu_1")})
    # The shortcut's current, and the bias with it, arrives one step late.
    late, now = (graph.nodes[name] for name in ("relu_to_relu_2", "relu_1_to_relu_2"))
    threshold = torch.from_numpy(graph.nodes["relu_2"].v_threshold)
    potential = torch.zeros_like(rasters["relu_2"][0])
    for t in range(STEPS):
        potential += F.conv2d(rasters["relu_1"][t], *map(torch.from_numpy, (now.weight, now.bias)), padding=1)
        if t > 0:
            potential += F.conv2d(rasters["relu"][t - 1], *map(torch.from_numpy, (late.weight, late.bias)))
        fired = potential > threshold
        assert torch.equal(found["relu_2"][t], fired.float())
        potential[fired] = 0.0


def test_snntorch_fails_on_if_nodes(tmp_path: Path) -> None:
    network, x = converted("deep")
    with pytest.raises(TypeError, match="must be Tensor, not tuple"):
        run("snntorch", written(network, tmp_path), x)


@pytest.mark.parametrize("made", ["subtract", "zero"])
def test_others_ignore_what_only_metadata_says(made: str, tmp_path: Path) -> None:
    network, x = converted("deep", made)
    assert differing(run("norse", written(network, tmp_path), x), clock(network, x)[1])


def test_norse_reads_double_precision_as_single_and_loses_ties(tmp_path: Path) -> None:
    network, x = converted("deep", dtype=torch.float64)
    path, rasters = written(network, tmp_path), clock(network, x)[1]
    assert_same_spikes(load(path).run(x)[1], rasters)
    assert differing(run("norse", path, x.float()), rasters)


def test_nirtorch_alone_knows_no_neurons(tmp_path: Path) -> None:
    network, _ = converted("deep")
    for profile in ("norse", "snntorch"):
        with pytest.raises(ValueError, match="Unknown node type"):
            nirtorch.nir_to_torch(nir.read(written(network, tmp_path, profile)), {})


def test_nirtorch_alone_loses_the_biases_of_affine_nodes() -> None:
    node = nir.Affine(torch.ones(2, 3).numpy(), torch.tensor([1e3, -1e3]).numpy())
    module = nirtorch.nir_to_torch(node, {})
    assert module(torch.zeros(1, 3)).abs().max() < 10.0
    ours = nirtorch.nir_to_torch(node, node_map())
    assert ours(torch.zeros(1, 3)).tolist() == [[1e3, -1e3]]
