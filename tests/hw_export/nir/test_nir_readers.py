"""Who reads exported NIR graphs, and how: every cell of the table in docs/nir.md, run."""

from __future__ import annotations

import copy
from collections import defaultdict
from pathlib import Path
from typing import Any

import nir
import nirtorch
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw_export.nir import export, load, node_map
from hw_export.nir.writing import Neuron
from snnconv import SpikingNetwork
from tests.hw_export.nir.nir_networks import MODELS, NEURONS, STEPS, assert_same_spikes, clock, converted

pytestmark = pytest.mark.filterwarnings("ignore:nirtorch.load is being deprecated:DeprecationWarning")

BRANCHED = ("skip", "joined", "concatenation", "straight")
SEQUENTIAL = tuple(name for name in MODELS if name not in BRANCHED)


def written(network: SpikingNetwork, folder: Path, neuron: Neuron = "IF") -> Any:
    """The graph as it comes back from a file."""
    export(network, folder / "network.nir", neuron=neuron)
    return nir.read(folder / "network.nir")


def populations(graph: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Node and shape of every population."""
    return {
        node.metadata["name"]: (name, tuple(node.metadata["shape"]))
        for name, node in graph.nodes.items()
        if isinstance(node, (nir.IF, nir.LIF))
    }


def run_norse(graph: Any, x: Tensor) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Spikes, and what the module returns at every step, with norse's reader."""
    import norse.torch

    module, state = norse.torch.from_nir(graph), None
    found, returned = defaultdict(list), []
    with torch.no_grad():
        for _ in range(STEPS):
            current, state = module(x, state)
            returned.append(current)
            for name, (node, shape) in populations(graph).items():
                found[name].append(state.cache[node].reshape(-1, *shape))
    return {name: torch.stack(each) for name, each in found.items()}, returned


def run_module(module: nn.Module, graph: Any, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean output and spikes of what ``nirtorch.nir_to_torch`` made, which snntorch's reader uses too."""
    found = defaultdict(list)
    for name, (node, shape) in populations(graph).items():

        def keep(_: Any, __: Any, out: Any, name: str = name, shape: Any = shape) -> None:
            spikes = out[0] if isinstance(out, tuple) else out
            found[name].append(spikes.reshape(-1, *shape))

        module.get_submodule(node).register_forward_hook(keep)
    state, returned = None, []
    with torch.no_grad():
        for _ in range(STEPS):
            current, state = module(x, state)
            returned.append(current)
    return torch.stack(returned).mean(0), {name: torch.stack(each) for name, each in found.items()}


def snntorch_module(graph: Any) -> nn.Module:
    from snntorch.import_nir import import_from_nir

    module: nn.Module = import_from_nir(graph)
    return module


def differ(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    return any(not torch.equal(found[name].to(raster.dtype), raster) for name, raster in wanted.items())


@pytest.mark.parametrize("neuron", ["IF", "LIF-snntorch"])
@pytest.mark.parametrize("made", NEURONS)
@pytest.mark.parametrize("name", MODELS)
def test_ours_reads_everything(name: str, made: str, neuron: Neuron, tmp_path: Path) -> None:
    network, x = converted(name, made, torch.float64, exact=False)
    graph = export(network, tmp_path / "network.nir", neuron=neuron)
    output, rasters = clock(network, x)
    for source in (graph, tmp_path / "network.nir"):
        mean, found = load(source).run(x)
        assert_same_spikes(found, rasters)
        torch.testing.assert_close(mean, output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("made", NEURONS)
@pytest.mark.parametrize("name", MODELS)
def test_nirtorch_with_our_map_reads_everything(name: str, made: str, tmp_path: Path) -> None:
    network, x = converted(name, made, torch.float64, exact=False)
    graph = written(network, tmp_path)
    output, rasters = clock(network, x)
    module = nirtorch.nir_to_torch(graph, node_map(), dtype=torch.float64)
    mean, found = run_module(module, graph, x)
    assert_same_spikes(found, rasters)
    torch.testing.assert_close(mean, output.reshape(mean.shape), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_norse_reads_if_nodes_that_reset_to_zero(name: str, tmp_path: Path) -> None:
    network, x = converted(name)
    output, rasters = clock(network, x)
    found, returned = run_norse(written(network, tmp_path), x)
    assert_same_spikes(found, rasters)
    torch.testing.assert_close(torch.stack(returned).mean(0).reshape(output.shape), output)


def test_norse_is_silent_for_lif_nodes(tmp_path: Path) -> None:
    network, x = converted("deep")
    found, _ = run_norse(written(network, tmp_path, "LIF-snntorch"), x)
    assert not any(raster.any() for raster in found.values())


def test_norse_delays_the_branches_it_visits_last(tmp_path: Path) -> None:
    network, x = converted("skip")
    graph = written(network, tmp_path)
    found, returned = run_norse(graph, x)
    rasters = clock(network, x)[1]
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
    # It returns what it ran last, which is the shortcut.
    assert returned[0].shape == rasters["relu_2"][0].shape


@pytest.mark.parametrize("name", ["skip", "concatenation"])
def test_norse_differs_where_branches_meet(name: str, tmp_path: Path) -> None:
    network, x = converted(name)
    assert differ(run_norse(written(network, tmp_path), x)[0], clock(network, x)[1])


@pytest.mark.parametrize("name", MODELS)
def test_snntorch_reads_lif_nodes_that_reset_to_zero(name: str, tmp_path: Path) -> None:
    network, x = converted(name)
    output, rasters = clock(network, x)
    graph = written(network, tmp_path, "LIF-snntorch")
    mean, found = run_module(snntorch_module(graph), graph, x)
    assert_same_spikes(found, rasters)
    torch.testing.assert_close(mean.reshape(output.shape), output)


def test_snntorch_fails_on_if_nodes(tmp_path: Path) -> None:
    network, x = converted("deep")
    with pytest.raises(TypeError, match="must be Tensor, not tuple"):
        snntorch_module(written(network, tmp_path))(x)


@pytest.mark.parametrize("made", ["subtract", "zero"])
def test_others_ignore_what_only_metadata_says(made: str, tmp_path: Path) -> None:
    network, x = converted("deep", made)
    rasters = clock(network, x)[1]
    assert differ(run_norse(written(network, tmp_path), x)[0], rasters)
    graph = written(network, tmp_path, "LIF-snntorch")
    assert differ(run_module(snntorch_module(graph), graph, x)[1], rasters)


def test_others_read_double_precision_as_single_and_lose_ties(tmp_path: Path) -> None:
    network, x = converted("deep", dtype=torch.float64)
    rasters = clock(network, x)[1]
    assert_same_spikes(load(written(network, tmp_path)).run(x)[1], rasters)
    assert differ(run_norse(written(network, tmp_path), x.float())[0], rasters)
    graph = written(network, tmp_path, "LIF-snntorch")
    assert differ(run_module(snntorch_module(graph), graph, x.float())[1], rasters)
    network = copy.deepcopy(network).float()
    assert_same_spikes(run_norse(written(network, tmp_path), x.float())[0], rasters)


def test_nirtorch_alone_knows_no_neurons(tmp_path: Path) -> None:
    network, _ = converted("deep")
    for neuron in ("IF", "LIF-snntorch"):
        with pytest.raises(ValueError, match="Unknown node type"):
            nirtorch.nir_to_torch(written(network, tmp_path, neuron), {})  # type: ignore[arg-type]


def test_nirtorch_alone_loses_the_biases_of_affine_nodes() -> None:
    node = nir.Affine(torch.ones(2, 3).numpy(), torch.tensor([1e3, -1e3]).numpy())
    module = nirtorch.nir_to_torch(node, {})
    assert module(torch.zeros(1, 3)).abs().max() < 10.0
    ours = nirtorch.nir_to_torch(node, node_map())
    assert ours(torch.zeros(1, 3)).tolist() == [[1e3, -1e3]]
