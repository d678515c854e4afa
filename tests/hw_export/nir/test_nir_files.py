"""NIR files and graphs that are not to be trusted."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
import torch
from torch import nn

from hw_export.nir import export, load
from snnconv.errors import StorageError
from tests.hw_export.nir.nir_networks import converted


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.nir", tmp_path / "cut.nir"
    export(converted("deep")[0], whole)
    content = whole.read_bytes()
    for size in range(0, len(content), max(1, len(content) // 40)):
        cut.write_bytes(content[:size])
        with pytest.raises(StorageError, match=r"cut\.nir"):
            load(cut)


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    whole, damaged = tmp_path / "whole.nir", tmp_path / "damaged.nir"
    export(converted("deep")[0], whole)
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        content = bytearray(whole.read_bytes())
        for place in generator.integers(0, len(content), 20):
            content[place] ^= 0xFF
        damaged.write_bytes(content)
        try:
            load(damaged)
        except StorageError:
            refused += 1
    assert refused > 10


def test_what_is_no_nir_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nir"
    for content in (b"", b"not a file", b"\x89HDF\r\n\x1a\n" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(StorageError, match=r"a\.nir cannot be read"):
            load(path)
    with h5py.File(path, "w") as file:
        file["other"] = 1
    with pytest.raises(StorageError, match=r"a\.nir cannot be read"):
        load(path)
    with pytest.raises(StorageError, match="missing"):
        load(tmp_path / "missing.nir")
    with pytest.raises(StorageError, match="holds a Linear"):
        load(nir.Linear(np.ones((2, 2))))


def test_links_out_of_a_file_are_not_followed(tmp_path: Path) -> None:
    path, other = tmp_path / "a.nir", tmp_path / "b.nir"
    export(converted("deep")[0], path)
    export(converted("deep")[0], other)
    with h5py.File(path, "a") as file:
        del file["node/nodes/input"]
        file["node/nodes/input"] = h5py.ExternalLink(str(other), "node/nodes/input")
    with pytest.raises(StorageError, match="link to another place"):
        load(path)
    with h5py.File(path, "a") as file:
        del file["node/nodes/input"]
        file["node/nodes/input"] = file["node"]
    with pytest.raises(StorageError, match="is linked from several places"):
        load(path)
    with h5py.File(path, "w") as file:
        file.create_group("/".join(["node"] * 20))
    with pytest.raises(StorageError, match="more than 16 deep"):
        load(path)


def test_files_that_unpack_to_too_much_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nir"
    export(converted("deep")[0], path)
    with h5py.File(path, "a") as file:
        del file["node/nodes/layers_1/r"]
        file.create_dataset("node/nodes/layers_1/r", shape=(2**40,), dtype="f4", chunks=(1024,))
    assert path.stat().st_size < 2**20
    with pytest.raises(StorageError, match="unpacks to more than 100 times as many"):
        load(path)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("reset", "sideways", "sideways"),
        ("initial_potential", float("nan"), "initial_potential nan"),
        ("subtracted", float("inf"), "subtracted inf"),
        ("shape", np.array([3, 5]), "have shape"),
        ("shape", np.array([-16, -1]), "have shape"),
    ],
)
def test_metadata_that_cannot_be_run_is_refused(key: str, value: Any, reason: str) -> None:
    graph = export(converted("deep", "subtract")[0])
    graph.nodes["layers_1"].metadata[key] = value
    with pytest.raises(StorageError, match=reason):
        load(graph)


def test_future_files_are_refused(tmp_path: Path) -> None:
    graph = export(converted("deep")[0])
    graph.metadata["version"] = 3
    with pytest.raises(StorageError, match="version 3"):
        load(graph)


def test_graphs_without_a_meaning_are_refused() -> None:
    graph = export(converted("deep")[0])
    graph.edges.append(("layers_3", "x_to_layers_1"))
    with pytest.raises(StorageError, match=r"cycle of .*layers_1 \(IF\).* has 2 nodes that fire"):
        load(graph)
    graph = export(converted("deep")[0])
    graph.edges.remove(("layers_1", "layers_1_to_layers_3"))
    with pytest.raises(StorageError, match="nothing reaches layers_1_to_layers_3, layers_3"):
        load(graph)
    graph = export(converted("deep")[0])
    graph.nodes["layers_1"].v_threshold[0] = np.nan
    with pytest.raises(StorageError, match="v_threshold of node layers_1"):
        load(graph)
    graph = export(converted("deep")[0])
    graph.nodes["more"] = nir.Input(np.array([6]))
    with pytest.raises(StorageError, match="2 Input nodes"):
        load(graph)
    graph = export(converted("deep")[0])
    graph.nodes["layers_1"] = nir.Delay(np.ones(16))
    with pytest.raises(StorageError, match=r"node layers_1 \(Delay\) cannot be run: a Delay has no meaning here"):
        load(graph)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float16])
def test_weights_of_other_types_are_the_real_numbers_that_they_say(dtype: type) -> None:
    weight = np.arange(12).reshape(3, 4).astype(dtype)
    nodes = {"input": nir.Input(np.array([4])), "linear": nir.Linear(weight), "output": nir.Output(np.array([3]))}
    module = load(nir.NIRGraph(nodes, [("input", "linear"), ("linear", "output")]))
    output, _ = module.run(torch.ones(1, 4), steps=1)
    assert output.tolist() == [[6.0, 22.0, 38.0]]


@pytest.mark.parametrize(("axis", "size"), [(2**40, 4), (1, 2**40)])
def test_a_graph_that_cannot_run_is_refused_when_it_is_read(axis: int, size: int) -> None:
    flat = nir.Flatten({"input": np.array([size])}, axis, -1)
    nodes = {"input": nir.Input(np.array([size])), "flat": flat, "output": nir.Output(np.array([size]))}
    graph = nir.NIRGraph(nodes, [("input", "flat"), ("flat", "output")], type_check=False)
    with pytest.raises(StorageError, match=r"node flat \(Flatten\) cannot be run|node input \(Input\)"):
        load(graph)


@pytest.mark.parametrize(("padding", "loads"), [(20_000, False), (10_000, True)])  # what is large is not run
def test_a_graph_takes_no_memory_when_it_is_read(padding: int, loads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    side, kernel = 4 + 2 * padding, np.ones((1, 1, 1, 1), np.float32)
    nodes = {
        "input": nir.Input({"input": np.array([1, 4, 4])}),
        "wide": nir.Conv2d((4, 4), kernel, (1, 1), (padding, padding), (1, 1), 1, np.zeros(1, np.float32)),
        "output": nir.Output({"output": np.array([1, side, side])}),
    }
    graph = nir.NIRGraph(nodes, [("input", "wide"), ("wide", "output")])
    devices, forward = set[str](), nn.Conv2d.forward

    def noted(module: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        devices.add(x.device.type)
        assert x.is_meta, "values would take gigabytes"
        return forward(module, x)

    monkeypatch.setattr(nn.Conv2d, "forward", noted)
    refused = pytest.raises(StorageError, match=r"makes a result of the shape \[1, 1, 40004, 40004\], more than")
    with contextlib.nullcontext() if loads else refused:
        load(graph)
    assert devices == {"meta"}
