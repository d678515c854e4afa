"""Neurons of NIR against their equations, snntorch and norse; nested graphs and cycles."""

from __future__ import annotations

from typing import Any

import nir
import norse.torch as norse
import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

from hw_export.nir import NIRState, load
from snnconv.errors import StorageError
from tests.support.networks import draw

STEPS, SIZE = 25, 5
#: The time steps that snntorch and norse assume when they write and read NIR.
SNNTORCH, NORSE = 1e-4, 1e-3


def between(low: float, high: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(SIZE, generator=generator, dtype=torch.float64)


def alone(node: Any) -> Any:
    return nir.NIRGraph.from_list(nir.Input(np.array([SIZE])), node, nir.Output(np.array([SIZE])))


def drive(scale: float = 2.0) -> Tensor:
    """Currents ``[T, N, neurons]`` that differ from step to step."""
    return scale * draw(STEPS, 4, SIZE, seed=7) + 0.3 * scale


def outputs(graph: Any, x: Tensor, dt: float) -> tuple[Tensor, NIRState]:
    module, state, found = load(graph, dt=dt), None, []
    for current in x.to(module.like.dtype):
        output, state = module(current, state)
        found.append(output)
    assert state is not None
    return torch.stack(found), state


def leaky(beta: Tensor, threshold: Tensor) -> Any:
    """As snntorch writes its Leaky: a current is added as it is."""
    tau = (SNNTORCH / (1 - beta)).numpy()
    return nir.LIF(tau, tau / SNNTORCH, np.zeros(SIZE), threshold.numpy(), np.zeros(SIZE))


def synaptic(alpha: Tensor, beta: Tensor, threshold: Tensor) -> Any:
    """As snntorch writes its Synaptic."""
    tau, synapse = ((SNNTORCH / (1 - decay)).numpy() for decay in (beta, alpha))
    zeros = np.zeros(SIZE)
    return nir.CubaLIF(synapse, tau, tau / SNNTORCH, zeros, threshold.numpy(), zeros, synapse / SNNTORCH)


ALPHA, BETA, THRESHOLD = between(0.2, 0.8, 0), between(0.3, 0.95, 1), between(0.5, 1.5, 2)


def recurrent(neuron: Any, weight: Tensor, bias: Tensor) -> Any:
    """As snntorch writes its recurrent cells: a graph in the graph."""
    affine = nir.Affine(weight.detach().numpy(), bias.detach().numpy())
    nodes = {"input": nir.Input(np.array([SIZE])), "lif": neuron, "w_rec": affine}
    nodes["output"] = nir.Output(np.array([SIZE]))
    edges = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
    return alone(nir.NIRGraph(nodes, edges))


def run(cell: Any, x: Tensor, states: tuple[Tensor, ...]) -> Tensor:
    """Spikes of a cell of snntorch, which returns its states behind them, or all of them."""
    wanted = []
    with torch.no_grad():
        for current in x:
            found = cell(current, *states)
            wanted.append(found[0])
            states = found[len(found) - len(states) :]
    return torch.stack(wanted)


@pytest.mark.parametrize("kind", ["Leaky", "Synaptic", "RLeaky"])
def test_neurons_of_snntorch(kind: str) -> None:
    """Those that reset at once: by default, and in RSynaptic always, the current of the step after a spike is lost."""
    weight, bias, x = draw(SIZE, SIZE, seed=3).float(), draw(SIZE, seed=4).float(), drive().float()
    options: dict[str, Any] = {"beta": BETA, "threshold": THRESHOLD, "reset_mechanism": "zero", "reset_delay": False}
    graph = alone(leaky(BETA, THRESHOLD))
    if kind == "Synaptic":
        options, graph = options | {"alpha": ALPHA}, alone(synaptic(ALPHA, BETA, THRESHOLD))
    if kind == "RLeaky":
        options, graph = options | {"linear_features": SIZE}, recurrent(leaky(BETA, THRESHOLD), weight, bias)
    cell = getattr(snntorch, kind)(**options)
    if kind == "RLeaky":
        cell.recurrent.weight.data, cell.recurrent.bias.data = weight, bias
    spikes = run(cell, x, (torch.zeros(4, SIZE),) * (1 if kind == "Leaky" else 2))
    assert 0.1 < spikes.mean() < 0.9
    assert torch.equal(outputs(graph, x, SNNTORCH)[0].float(), spikes)


def test_recurrent_synapses_of_snntorch_reset_a_step_late() -> None:
    """So what reaches the potential in the step after a spike is lost, unlike in NIR's equations."""
    weight, x = draw(SIZE, SIZE, seed=3).float(), drive().float()
    graph = recurrent(synaptic(ALPHA, BETA, THRESHOLD), weight, torch.zeros(SIZE))
    found = outputs(graph, x, SNNTORCH)[0]
    for delay in (True, False):
        options = {"threshold": THRESHOLD, "reset_mechanism": "zero", "reset_delay": delay, "linear_features": SIZE}
        cell = snntorch.RSynaptic(ALPHA, BETA, **options)
        cell.recurrent.weight.data, cell.recurrent.bias.data = weight, torch.zeros(SIZE)
        spikes = run(cell, x, (torch.zeros(4, SIZE),) * 3)
        once = (spikes[:-1] * spikes[1:]).sum()
        assert once == 0 and (found[:-1] * found[1:]).sum() > 0


def box(threshold: Tensor) -> tuple[Any, Any]:
    """The same neurons as norse has them, and as NIR does, with a resting potential."""
    tau, leak, floor = between(2.0, 20.0, 5) * NORSE, between(-0.2, 0.2, 6), between(-0.3, 0.3, 8)
    cell = norse.LIFBoxCell(norse.LIFBoxParameters(1 / tau, leak, threshold, floor), dt=NORSE)
    return cell, nir.LIF(tau.numpy(), np.ones(SIZE), leak.numpy(), threshold.numpy(), floor.numpy())


def test_leaky_neurons_of_norse() -> None:
    cell, node = box(0.3 * THRESHOLD)
    state, wanted = None, []
    with torch.no_grad():
        for current in drive():
            spikes, state = cell(current, state)
            wanted.append(spikes)
    found, last = outputs(alone(node), drive(), NORSE)
    assert 0.05 < found.mean() < 0.9
    assert torch.equal(found, torch.stack(wanted))
    torch.testing.assert_close(last.potentials["lif"], state.v)


def test_recurrent_neurons_of_norse() -> None:
    cell, node = box(0.3 * THRESHOLD)
    linear = nn.Linear(SIZE, SIZE, dtype=torch.float64)
    linear.weight.data, linear.bias.data = draw(SIZE, SIZE, seed=3), torch.zeros(SIZE, dtype=torch.float64)
    theirs, state, wanted = norse.RecurrentSequential(cell, linear, output_modules=1), None, []
    with torch.no_grad():
        for current in drive():
            weighted, state = theirs(current, state)  # it returns what it feeds back
            wanted.append(weighted)
        found, _ = outputs(recurrent(node, linear.weight, linear.bias), drive(), NORSE)
        torch.testing.assert_close(linear(found), torch.stack(wanted))
    assert not torch.equal(found, outputs(alone(node), drive(), NORSE)[0])


@pytest.mark.filterwarnings("ignore:nirtorch.load is being deprecated:DeprecationWarning")
def test_recurrent_synapses_as_norse_reads_them() -> None:
    weight, x, ones = draw(SIZE, SIZE, seed=3).float(), drive().float(), torch.ones(SIZE)
    tau, synapse = (between(2.0, 9.0, seed).float().numpy() * NORSE for seed in (10, 11))
    node = nir.CubaLIF(synapse, tau, (0.7 * ones).numpy(), (0 * ones).numpy(), (0.2 * ones).numpy(), w_in=2.0)
    graph = recurrent(node, weight, 0 * ones).nodes["nirgraph"]
    theirs, state, wanted = norse.from_nir(graph, ignore_warnings=True, dt=NORSE), None, []
    with torch.no_grad():
        for current in x:
            _, state = theirs(current, state)
            wanted.append(state.cache["lif"])
    found, _ = outputs(graph, x, NORSE)
    assert 0.05 < found.mean() < 0.9
    assert torch.equal(found, torch.stack(wanted))


def test_leaky_integrators_of_norse() -> None:
    tau, leak, gain = between(2.0, 20.0, 5) * NORSE, between(-0.2, 0.2, 6), between(0.5, 2.0, 9)
    cell = norse.LIBoxCell(norse.LIBoxParameters(1 / tau, leak), dt=NORSE)
    state, wanted = None, []
    with torch.no_grad():
        for current in drive():
            potential, state = cell(gain * current, state)
            wanted.append(potential)
    found, last = outputs(alone(nir.LI(tau.numpy(), gain.numpy(), leak.numpy())), drive(), NORSE)
    torch.testing.assert_close(found, torch.stack(wanted))
    assert last.potentials.keys() == {"li"} and not last.spikes


def test_synapses_go_before_the_potential_that_they_drive() -> None:
    tau, synapse, gain, given = (between(2.0, 9.0, seed).numpy() for seed in (10, 11, 12, 13))
    leak = between(-0.2, 0.2, 14).numpy()
    found, state = outputs(alone(nir.CubaLI(synapse, tau, gain, leak, given)), drive(), 0.5)
    current, potential = np.zeros((4, SIZE)), np.broadcast_to(leak, (4, SIZE))
    for step, spikes in enumerate(drive().numpy()):
        current = current + 0.5 / synapse * (given * spikes - current)
        potential = potential + 0.5 / tau * (leak - potential + gain * current)
        np.testing.assert_allclose(found[step], potential, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(state.currents["cubali"], current)


@pytest.mark.parametrize("dt", [None, 1.0, 0.25])
def test_a_step_of_an_integrator_is_dt_times_its_current(dt: float | None) -> None:
    x, gain = drive(), between(0.5, 2.0, 9)
    module = load(alone(nir.I(gain.numpy())), dt=dt)
    state = None
    for current in x:
        output, state = module(current, state)
    torch.testing.assert_close(output, (1.0 if dt is None else dt) * gain * x.sum(0))


def test_soft_reset_as_a_cycle() -> None:
    """What fires is taken off the potential before the next step: I, Threshold and a Scale of -1 fed back."""
    nodes = {
        "input": nir.Input(np.array([SIZE])),
        "potential": nir.I(np.ones(SIZE)),
        "spikes": nir.Threshold(np.ones(SIZE)),
        "reset": nir.Scale(-np.ones(SIZE)),
        "output": nir.Output(np.array([SIZE])),
    }
    edges = [("input", "potential"), ("potential", "spikes"), ("spikes", "reset"), ("reset", "potential")]
    graph = nir.NIRGraph(nodes, [*edges, ("spikes", "output")], type_check=False)
    x = (drive(1.0) * 64).round() / 64  # sums are exact, whatever their order
    found, _ = outputs(graph, x, 1.0)
    subtracting = nir.IF(np.ones(SIZE), np.ones(SIZE), metadata={"reset": "subtract", "subtracted": 1.0})
    assert torch.equal(found, outputs(alone(subtracting), x, 1.0)[0]) and found.any()


def cyclic(edges: list[tuple[str, str]], **others: Any) -> Any:
    """Two populations, and the matrices "there" and "back"."""
    nodes = {"input": nir.Input(np.array([SIZE])), "output": nir.Output(np.array([SIZE]))}
    nodes |= {name: nir.IF(np.ones(SIZE), np.ones(SIZE)) for name in ("first", "second")}
    nodes |= {name: nir.Linear(np.eye(SIZE)) for name in ("there", "back")} | others
    used = {name for edge in edges for name in edge}
    return nir.NIRGraph({name: node for name, node in nodes.items() if name in used}, edges, type_check=False)


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (
            cyclic(
                [
                    ("input", "first"),
                    ("first", "there"),
                    ("there", "second"),
                    ("second", "back"),
                    ("back", "first"),
                    ("second", "output"),
                ]
            ),
            r"the cycle of .* has 2 nodes that fire \(first, second\)",
        ),
        (cyclic([("input", "there"), ("there", "back"), ("back", "there"), ("there", "output")]), "0 nodes that fire"),
        (
            cyclic(
                [
                    ("input", "first"),
                    ("first", "there"),
                    ("there", "back"),
                    ("back", "there"),
                    ("there", "first"),
                    ("first", "output"),
                ]
            ),
            "back, .*there are in, or behind, a cycle that does not pass its one neuron",
        ),
        (
            cyclic([("input", "first"), ("first", "there"), ("there", "first"), ("there", "output")]),
            "is left at there, towards output: only its neuron first",
        ),
        (
            cyclic([("input", "first"), ("first", "first"), ("first", "output")], first=nir.IF(*2 * [np.ones(())])),
            "first feeds it a step late, and its parameters do not say how many",
        ),
    ],
    ids=["two neurons", "none", "a cycle within", "left elsewhere", "of unknown size"],
)
def test_other_cycles_are_refused(graph: Any, said: str) -> None:
    with pytest.raises(StorageError, match=said):
        load(graph)


def test_parameters_of_one_number_are_those_of_all_neurons() -> None:
    nodes = {"input": nir.Input(np.array([SIZE])), "lif": nir.LIF(*(np.array(v) for v in (4.0, 4.0, 0.0, 1.0, 0.0)))}
    nodes["output"] = nir.Output(np.array([SIZE]))
    graph = nir.NIRGraph(nodes, [("input", "lif"), ("lif", "output")], type_check=False)
    wide = nir.LIF(*(np.full(SIZE, value) for value in (4.0, 4.0, 0.0, 1.0, 0.0)))
    found, _ = outputs(graph, drive(), 1.0)
    assert torch.equal(found, outputs(alone(wide), drive(), 1.0)[0]) and found.any()


def test_nested_graphs_are_flattened() -> None:
    inner = alone(nir.IF(np.ones(SIZE), np.ones(SIZE)))
    graph = alone(alone(inner))
    assert load(graph).run(drive()[0].abs(), 9)[1].keys() == {"nirgraph.nirgraph.if"}
    for _ in range(20):
        graph = alone(graph)
    with pytest.raises(StorageError, match="nested more than 16 deep"):
        load(graph)
    twice = alone(inner)
    twice.nodes["nirgraph"].nodes["more"] = nir.Output(np.array([SIZE]))
    with pytest.raises(StorageError, match="graph nirgraph has 2 Output nodes"):
        load(twice)
