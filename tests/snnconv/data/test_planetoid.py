"""Citation graphs from files: what is read, and that no broken file is taken for one."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import snnconv
from benchmarks.gcn_network import GCN, train_gcn
from coding import Rate
from snnconv import InputError
from snnconv.data import CitationGraph, load_planetoid, normalized_adjacency

Arrays = dict[str, Any]


def arrays() -> Arrays:
    """Five papers with four words; 0-1, 1-2 and 2-3 cite each other, paper 4 has neither citations nor words."""
    mask = np.arange(5)
    return {
        "x_data": np.array([1.0, 1.0, 2.0, 1.0, 1.0], np.float32),
        "x_indices": np.array([0, 3, 1, 2, 3], np.int32),
        "x_indptr": np.array([0, 2, 3, 4, 5, 5], np.int32),
        "x_shape": np.array([5, 4]),
        "edge_index": np.array([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]], np.int32),
        "y": np.array([0, 1, 2, 1, 0]),
        "train_mask": mask < 2,
        "val_mask": mask == 2,
        "test_mask": mask > 2,
    }


def saved(folder: Path, **changes: Any) -> Path:
    path = folder / "graph.npz"
    np.savez_compressed(path, **{key: value for key, value in (arrays() | changes).items() if value is not None})
    return path


def test_a_file_becomes_features_adjacency_labels_and_masks(tmp_path: Path) -> None:
    graph = load_planetoid(saved(tmp_path), normalize_features=False)
    words = [[1, 0, 0, 1], [0, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert torch.equal(graph.features, torch.tensor(words, dtype=torch.float32))
    assert graph.labels.tolist() == [0, 1, 2, 1, 0] and graph.classes == 3
    assert graph.train_mask.tolist() == [True, True, False, False, False]
    assert graph.targets(graph.test_mask).tolist() == [-100, -100, -100, 1, 0]
    assert graph.features.dtype == graph.adjacency.dtype == torch.float32 and graph.labels.dtype == torch.int64


def test_normalised_features_sum_to_one_where_there_are_any(tmp_path: Path) -> None:
    graph = load_planetoid(saved(tmp_path))
    assert graph.features.sum(1).tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_the_adjacency_is_that_of_the_formula(tmp_path: Path) -> None:
    graph = load_planetoid(saved(tmp_path))
    dense = torch.eye(5)
    rows, columns = arrays()["edge_index"]
    dense[rows, columns] = 1.0
    weight = dense.sum(1).rsqrt()
    assert graph.adjacency.layout is torch.sparse_coo and graph.adjacency.is_coalesced()
    assert torch.allclose(graph.adjacency.to_dense(), weight[:, None] * dense * weight)
    doubled = torch.from_numpy(np.concatenate([arrays()["edge_index"]] * 2 + [[[1], [1]]], 1).astype(np.int64))
    assert torch.equal(normalized_adjacency(doubled, 5).to_dense(), graph.adjacency.to_dense())
    torch.sparse_coo_tensor(
        graph.adjacency.indices(), graph.adjacency.values(), (5, 5), check_invariants=True, is_coalesced=True
    )


def test_a_graph_without_edges_is_one_of_loops(tmp_path: Path) -> None:
    graph = load_planetoid(saved(tmp_path, edge_index=np.zeros((2, 0), np.int32)))
    assert torch.equal(graph.adjacency.to_dense(), torch.eye(5))


@pytest.mark.parametrize(
    "edges",
    [[[0, 5], [1, 0]], [[0, -1], [1, 0]], [[0.0, 1.0], [1.0, 0.0]], [[0, 1]], [0, 1]],
    ids=["to nowhere", "below zero", "floats", "one row", "flat"],
)
def test_edges_that_are_none_are_refused(edges: Any) -> None:
    with pytest.raises(InputError, match="edge_index"):
        normalized_adjacency(torch.tensor(edges), 3)
    small = normalized_adjacency(torch.tensor([[0, 199], [199, 0]], dtype=torch.uint8), 200)  # 200 squared is no byte
    assert torch.equal(small.to_dense().diagonal()[[0, 1, 199]], torch.tensor([0.5, 1.0, 0.5]).sqrt().square())


BROKEN: dict[str, tuple[Arrays, str]] = {
    "no labels": ({"y": None}, "lacks y"),
    "no masks": ({"train_mask": None, "val_mask": None}, "lacks train_mask, val_mask"),
    "an edge to nowhere": ({"edge_index": np.array([[0], [5]])}, "edge_index holds numbers outside 0 to 4"),
    "an edge from nowhere": ({"edge_index": np.array([[-1], [0]])}, "edge_index holds numbers outside"),
    "edges in one direction": ({"edge_index": np.array([[0, 1], [1, 2]])}, "every edge in both directions"),
    "edges in threes": ({"edge_index": np.zeros((3, 2), np.int64)}, "edge_index is int64"),
    "half edges": ({"edge_index": np.zeros((2, 2))}, "integers"),
    "a word too many": ({"x_indices": np.array([0, 3, 1, 2, 4])}, "x_indices holds numbers outside 0 to 3"),
    "rows that fall": ({"x_indptr": np.array([0, 3, 2, 4, 5, 5])}, "must rise"),
    "rows that end early": ({"x_indptr": np.array([0, 2, 3, 4, 4, 4])}, "must rise"),
    "rows that end late": ({"x_indptr": np.array([0, 2, 3, 4, 5, 9])}, "x_indptr holds numbers outside"),
    "too few rows": ({"x_indptr": np.array([0, 2, 3, 5])}, "x_indptr is int64"),
    "too few words": ({"x_data": np.ones(3, np.float32)}, "x_data must hold a number for each"),
    "words as text": ({"x_data": np.array(["a"] * 5)}, "x_data must hold a number"),
    "NaN": ({"x_data": np.array([1, 1, np.nan, 1, 1], np.float32)}, "NaN"),
    "beyond single precision": ({"x_data": np.array([1, 1, 1e300, 1, 1])}, "values beyond single precision"),
    "no papers": ({"x_shape": np.array([0, 4])}, "x_shape is 0 x 4"),
    "a terabyte": ({"x_shape": np.array([10**6, 10**6])}, "x_shape is 1000000 x 1000000"),
    "numbers past 64 bits": ({"x_shape": np.array([2**64 - 1, 2], np.uint64)}, "x_shape holds numbers outside"),
    "a shape of three": ({"x_shape": np.array([5, 4, 1])}, "x_shape is int64"),
    "labels missing": ({"y": np.array([0, 1])}, "y is int64"),
    "labels as floats": ({"y": np.zeros(5)}, "y is float64"),
    "a label below zero": ({"y": np.array([0, 1, -1, 0, 0])}, "y holds numbers outside"),
    "a mask of numbers": ({"val_mask": np.zeros(5)}, "val_mask must hold one truth value"),
    "a short mask": ({"test_mask": np.zeros(3, bool)}, "test_mask must hold one truth value"),
    "pickled": ({"y": np.array([None] * 5, dtype=object)}, "cannot be read as a citation graph"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_holds_something_else_is_refused(kind: str, tmp_path: Path) -> None:
    changes, message = BROKEN[kind]
    with pytest.raises(InputError, match=rf"graph\.npz.*{message}"):
        load_planetoid(saved(tmp_path, **changes))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def altered(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("x_data.npy").header_offset + 60
    content = bytearray(path.read_bytes())
    content[start : start + 20] = bytes(20)
    path.write_bytes(content)


def of_unknown_compression(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("x_data.npy").header_offset
    content = bytearray(path.read_bytes())
    for at in (start + 8, content.index(b"PK\x01\x02") + 10):  # in the member's own header, and in the directory
        content[at] = 99
    path.write_bytes(content)


def not_an_archive(path: Path) -> None:
    path.write_text("papers, citations\n")


def bare_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize(
    "damage", [truncated, altered, of_unknown_compression, not_an_archive, bare_array, Path.unlink]
)
def test_a_file_that_cannot_be_read_says_so(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = saved(tmp_path)
    damage(path)
    with pytest.raises(InputError, match=r"graph\.npz cannot be read as a citation graph"):
        load_planetoid(path)


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnconv.data.arrays.SMALL_ARCHIVE", 10**6)
    path = saved(tmp_path, x_data=np.zeros(10**6, np.float32))
    assert path.stat().st_size < 10**5
    with pytest.raises(InputError, match=r"graph\.npz cannot be read as .* more than 100 times as many"):
        load_planetoid(path)


def converted(graph: CitationGraph, model: GCN, steps: int) -> tuple[snnconv.SpikingNetwork, snnconv.Evaluation]:
    constants = {"adj": graph.adjacency}
    network = snnconv.convert(model, graph.features, coding=Rate(steps), constants=constants)
    data = (graph.features, graph.targets(graph.test_mask))
    return network, snnconv.evaluate(network, data, reference=model, constants=constants)


def test_training_depends_on_the_seed_alone(tmp_path: Path) -> None:
    graph = load_planetoid(saved(tmp_path))
    state = torch.random.get_rng_state()
    first, again, other = (train_gcn(graph, epochs=5, hidden=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state()) and not first.training
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
    assert converted(graph, first, 64)[1].judged == 2


@pytest.mark.slow
def test_cora_is_learned_and_converted(data_dir: Path) -> None:
    graph = load_planetoid(data_dir / "cora.npz")
    assert graph.features.shape == (2708, 1433) and graph.classes == 7
    assert graph.adjacency.values().numel() == 10556 + 2708
    assert [int(mask.sum()) for mask in (graph.train_mask, graph.val_mask, graph.test_mask)] == [140, 500, 1000]
    network, result = converted(graph, train_gcn(graph), 64)
    assert result.judged == 1000 and result.samples == 1
    assert result.reference_accuracy is not None and result.reference_accuracy > 80.0
    assert result.loss is not None and result.loss < 1.0 and result.agreement > 99.0
    assert network.synapses.bounds == ()
