"""Graphs that other tools made: axes of one sample, arrays of any kind, and errors that say where."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import Tensor

from hw_export.nir import load, node_map
from snnconv.errors import ConfigurationError, StorageError
from tests.support.networks import draw

SHAPE = (2, 3, 4)


def full(*shape: int, value: float = 1.0) -> Any:
    return np.full(shape, value, np.float32)


def chain(*nodes: Any, shape: tuple[int, ...] = SHAPE, size: int = 3) -> Any:
    """The nodes one after another, called node0, node1 and so on."""
    named = {"input": nir.Input({"input": np.array(shape)}), **{f"node{i}": node for i, node in enumerate(nodes)}}
    named["output"] = nir.Output({"output": np.array([size])})
    return nir.NIRGraph(named, list(zip([*named], [*named][1:], strict=False)), type_check=False)


def flatten(shape: tuple[int, ...] | None, first: int, last: int) -> Any:
    return nir.Flatten(None if shape is None else {"input": np.array(shape)}, first, last)


@pytest.mark.parametrize(
    "nodes",
    [
        [flatten(SHAPE, 0, -1)],
        [flatten(SHAPE, 0, 2)],
        [flatten(None, -3, -1)],
        [flatten(SHAPE, 0, 1), flatten((6, 4), 0, -1)],
        [flatten(SHAPE, 1, 2), flatten((2, 12), -2, -1)],
        [flatten((1, *SHAPE), 1, -1)],  # the shape says that axis 0 counts samples
        [flatten((8, *SHAPE), 2, -1), flatten((2, 12), 0, 1)],
    ],
    ids=str,
)
@pytest.mark.parametrize("samples", [1, 2, 4])
def test_axes_are_those_of_one_sample(nodes: list[Any], samples: int) -> None:
    weight, x = draw(3, 24).numpy(), draw(samples, *SHAPE, seed=1)
    output, _ = load(chain(*nodes, nir.Linear(weight))).run(x, steps=1)
    torch.testing.assert_close(output, x.reshape(samples, 24) @ torch.from_numpy(weight).T)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (flatten(SHAPE, 1, -1), r"node1 \(Linear\).* made for \[24\], and it gets \[2, 12\] from node0 \(Flatten\)"),
        (flatten((1, *SHAPE), 0, -1), r"node0 \(Flatten\).* counts samples, and joins them"),
        (flatten((2, 4, 3), 0, -1), r"node0 \(Flatten\).* made for \[2, 4, 3\], and gets \[2, 3, 4\]"),
        (flatten(None, 2, 1), r"node0 \(Flatten\).* flattens axes 2 to 1 of 3"),
    ],
)
def test_a_flatten_that_cannot_be_meant_is_refused(node: Any, said: str) -> None:
    with pytest.raises(StorageError, match=said):
        load(chain(node, nir.Linear(full(3, 24))))


@pytest.mark.parametrize(("stride", "groups"), [(np.array([1.5, 1.0]), 1), (1, 1.5)], ids=["stride", "groups"])
def test_sizes_that_are_no_whole_numbers_are_refused(stride: Any, groups: Any) -> None:
    node = nir.Conv2d((3, 4), full(2, 2, 1, 1), stride, 0, 1, groups, full(2))
    with pytest.raises(StorageError, match=r"node0 \(Conv2d\) cannot be run: .*1\.5.* no whole number"):
        load(chain(node))


def neurons(array: Callable[[Tensor], Any]) -> Any:
    """Conv2d, IF, AvgPool2d, Flatten, Affine, LIF, whose numbers ``array`` holds."""
    ones = torch.ones(5)
    return chain(
        nir.Conv2d((6, 6), array(draw(4, 2, 3, 3)), 1, 0, 1, 1, array(draw(4, seed=1))),
        nir.IF(*(array(torch.full((4, 4, 4), value).double()) for value in (1.0, 0.7, 0.0))),
        nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        flatten((4, 2, 2), 0, -1),
        nir.Affine(array(draw(5, 16, seed=2)), array(draw(5, seed=3))),
        nir.LIF(*(array(ones.double() * value) for value in (4.0, 4.0, 0.0, 0.5, 0.0))),
        shape=(2, 6, 6),
        size=5,
    )


@pytest.mark.parametrize(
    "array",
    [
        Tensor.clone,
        lambda tensor: torch.nn.Parameter(tensor.clone()),
        lambda tensor: torch.stack([tensor, tensor], -1)[..., 0],
        lambda tensor: tensor if tensor.dim() > 1 else tensor.numpy(),
        lambda tensor: tensor.numpy().astype(">f8"),
    ],
    ids=["tensors", "parameters", "not contiguous", "mixed", "of other byte order"],
)
def test_tensors_are_read_as_arrays_are(array: Callable[[Tensor], Any]) -> None:
    x = draw(3, 2, 6, 6, seed=4)
    wanted, spikes = load(neurons(lambda tensor: tensor.numpy().copy()), dt=1.0).run(x, steps=8)
    graph = neurons(array)
    before = {name: dict(vars(node)) for name, node in graph.nodes.items()}
    output, found = load(graph, dt=1.0).run(x, steps=8)
    assert torch.equal(output, wanted)
    assert len(found) == 2 and all(torch.equal(found[name], spikes[name]) and spikes[name].any() for name in spikes)
    assert all(vars(node)[key] is value for name, node in graph.nodes.items() for key, value in before[name].items())


def integrating(**metadata: Any) -> Any:
    return nir.IF(full(6), full(6), full(6, value=0.0), metadata=metadata)


def leaking(tau: float) -> Any:
    return nir.LIF(full(6, value=tau), full(6), full(6, value=0.0), full(6), full(6, value=0.0))


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (leaking(0.01), "no time step is known: give dt="),
        (integrating(reset="halve"), "metadata says reset 'halve'"),
        (integrating(initial_potential="soon"), "initial_potential 'soon', which is no number"),
        (integrating(reset="subtract"), "does not say what a spike takes off"),
        (integrating(fires="sometimes"), "fires 'sometimes'"),
        (integrating(shape=np.array([2, 2])), r"\(6,\) values have shape \(2, 2\)"),
        (integrating(shape="round"), "its shape is 'round'"),
        (nir.Affine(full(6, 7), full(6)), r"made for \[7\], and it gets \[6\] from node1 \(IF\)"),
        (nir.Affine(full(6, 6), full(5)), r"a bias of shape \(5,\) does not fit 6 results"),
        (nir.IF(full(5), full(5)), r"made for \[5\], and it gets \[6\] from node1 \(IF\)"),
        (nir.Scale(full(2, 3)), r"made for \[2, 3\], and it gets \[6\]"),
        (nir.Linear(full(6, 6).astype(complex)), "has the type complex128"),
        (nir.Linear(full(6, 6, value=np.inf)), "holds values that are not finite"),
        (nir.Delay(full(6)), "has no meaning here"),
        (nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])), "made for .channels, height, width."),
    ],
    ids=lambda case: type(case).__name__ if isinstance(case, nir.NIRNode) else case,
)
def test_errors_name_the_file_and_the_node(node: Any, said: str, tmp_path: Path) -> None:
    graph = chain(nir.Affine(full(6, 6), full(6)), integrating(), node, nir.Linear(full(2, 6)), shape=(6,), size=2)
    nir.write(tmp_path / "others.nir", graph)
    with pytest.raises(StorageError, match=rf"others\.nir: .*node node2 \({type(node).__name__}\).*{said}"):
        load(tmp_path / "others.nir")


def test_a_node_that_cannot_even_be_made_is_named(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "others.nir"
    nir.write(path, chain(integrating(), shape=(6,), size=6))
    with h5py.File(path, "a") as file:
        del file["node/nodes/node0/r"]
        file["node/nodes/node0/r"] = full(5)
    with pytest.raises(StorageError, match=r"others\.nir .*node node0 \(IF\): All parameters must have the same shape"):
        load(path)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [({"dt": "fast"}, "dt 'fast', which is no number"), ({"dt": -1.0}, "dt -1"), ({"steps": 2.5}, "steps 2.5")],
)
def test_metadata_of_a_graph_is_checked(metadata: dict[str, Any], said: str) -> None:
    graph = chain(integrating(), shape=(6,), size=6)
    graph.metadata = metadata
    with pytest.raises(StorageError, match=said):
        load(graph)


def test_the_time_step_is_one_and_positive() -> None:
    graph = chain(leaking(2.0), shape=(6,), size=6)
    for dt in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="dt must be a positive number"):
            load(graph, dt=dt)
    with pytest.raises(StorageError, match=r"node0 \(LIF\).*2 s is shorter than the time step of 3 s"):
        load(graph, dt=3.0)
    graph.metadata = {"dt": 0.5}
    with pytest.raises(ConfigurationError, match=r"written for dt 0\.5, and dt=1 was asked for"):
        load(graph, dt=1.0)
    x = draw(2, 6).float().abs() * 3
    graph.metadata = {}
    asked = load(graph, dt=0.5).run(x, steps=9)[1]["node0"]
    graph.metadata = {"dt": 0.5}
    assert torch.equal(load(graph).run(x, steps=9)[1]["node0"], asked) and asked.any()


def test_a_warning_says_that_integrators_may_be_meant_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    graph = chain(leaking(2.0), integrating(), shape=(6,), size=6)
    with caplog.at_level(logging.WARNING):
        load(graph, dt=1.0)
        assert not caplog.records
        load(graph, dt=0.5)
    assert "node1 of the graph has r = 1, so that a step of 0.5 adds 0.5 times its current" in caplog.text


def test_names_in_metadata_that_clash_give_way_to_those_of_nodes() -> None:
    nodes = [integrating(name="node1"), integrating(), integrating(name="same"), integrating(name="same")]
    found = load(chain(*nodes, shape=(6,), size=6)).run(2.0 * torch.ones(1, 6), steps=2)[1]
    assert found.keys() == {"node0", "node1", "same", "node3"}


def test_axes_of_size_one_in_front_of_an_output_say_nothing() -> None:
    graph = chain(integrating(), shape=(6,), size=6)
    graph.nodes["output"] = nir.Output(np.array([1, 1, 6]))
    output, _ = load(graph).run(2.0 * torch.ones(3, 6), steps=2)
    assert torch.equal(output, torch.ones(3, 6))
    graph.nodes["output"] = nir.Output(np.array([2, 3]))
    with pytest.raises(StorageError, match=r"node output \(Output\).* made for \[2, 3\], and it gets \[6\]"):
        load(graph)


def test_what_stands_alone_has_modules_too() -> None:
    """Convolutions in one dimension and in groups, and factors, against torch."""
    kernel, x = draw(4, 1, 3), draw(2, 2, 7, seed=1)
    grouped = nir.Conv1d(7, kernel.numpy(), 2, 1, 1, 2, draw(4, seed=2).numpy())
    graph = chain(grouped, nir.Scale(draw(4, 4, seed=3).numpy()), flatten(None, 0, -1), shape=(2, 7), size=16)
    wanted = torch.nn.functional.conv1d(x, kernel, draw(4, seed=2), 2, 1, groups=2) * draw(4, 4, seed=3)
    torch.testing.assert_close(load(graph).run(x, steps=1)[0], wanted.flatten(1))
    assert nir.Conv1d in node_map()
