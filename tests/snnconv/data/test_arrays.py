"""Arrays of anybody: files that claim more than they hold are refused before memory is asked for."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnconv import InputError
from snnconv.data.arrays import MOST_RATIO, SMALL_ARCHIVE, array_archive, read_array
from snnconv.data.files import load_samples
from snnconv.data.planetoid import load_planetoid

#: Bytes that refusing a file may take, whatever it claims.
MODEST = 2**22


def npy(shape: object, content: bytes = bytes(96), descr: str = "<f4") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + content


def npz(content: bytes, repeated: int = 1, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", method, compresslevel=1) as archive:
        for position in range(repeated):
            archive.writestr(f"{'inputs' if position == 0 else position}.npy", content)
    return buffer.getvalue()


def bomb(entries: int) -> bytes:
    """An archive that says it unpacks to more than is read of one of its size: the claim alone, to be quick."""
    content, claim = npz(npy((24,)), entries), SMALL_ARCHIVE // entries + 1
    size = zipfile.ZipFile(io.BytesIO(content)).infolist()[0].file_size
    return content.replace(size.to_bytes(4, "little"), claim.to_bytes(4, "little"))


FILES = {
    "bomb.npz": lambda: bomb(1),
    "many.npz": lambda: bomb(70),
    "terabytes.npz": lambda: npz(npy((10**13,))),
    "terabytes.npy": lambda: npy((10**13,)),
    "uncountable.npy": lambda: npy((10**20, 6)),
    "empty and uncountable.npy": lambda: npy((0, 10**20), b""),
    "below zero.npy": lambda: npy((-4, -6)),
    "brackets.npy": lambda: npy((4, 6)).replace(b"(4, 6)", b"((((((", 1),
    "short.npy": lambda: npy((4, 6))[:-8],
    "dates.npy": lambda: npy((12,), descr="<M8[s]"),
    "nothing.npy": lambda: npy((10**9,), descr="|V0"),
    "fields.npy": lambda: npy((12,), descr="<f4").replace(b"'<f4'", b"[('a','<f4')]", 1),
    "letters.npy": lambda: npy((24,), descr="<U1"),
    "future.npy": lambda: npy((24,)).replace(b"\x01\x00", b"\x09\x00", 1),
    "lzma.npz": lambda: npz(npy((24,)), method=zipfile.ZIP_LZMA),
    "bzip.npz": lambda: npz(npy((24,)), method=zipfile.ZIP_BZIP2),
    "cut.npz": lambda: npz(npy((24,)))[:-30],
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_lies_is_refused_by_name_and_takes_no_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name]())
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=rf"{name} cannot be read as samples: \S"):
            load_samples(path)
        assert tracemalloc.get_traced_memory()[1] < MODEST
    finally:
        tracemalloc.stop()


def test_whatever_packs_well_is_read_and_what_packs_too_well_asks_for_no_packing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = np.zeros(2**16, np.float32)
    np.savez_compressed(tmp_path / "packed.npz", inputs=zeros)
    np.savez(tmp_path / "plain.npz", inputs=zeros)
    assert zeros.nbytes > MOST_RATIO * (tmp_path / "packed.npz").stat().st_size
    for most in (SMALL_ARCHIVE, 0):
        monkeypatch.setattr("snnconv.data.arrays.SMALL_ARCHIVE", most)
        assert load_samples(tmp_path / "plain.npz")[0].numpy().tobytes() == zeros.tobytes()
        if most:
            assert load_samples(tmp_path / "packed.npz")[0].numpy().tobytes() == zeros.tobytes()
    with pytest.raises(InputError, match=r"packed\.npz .* more than 100 times as many; .* without compression"):
        load_samples(tmp_path / "packed.npz")


def test_only_what_is_asked_for_is_unpacked(tmp_path: Path) -> None:
    np.savez(tmp_path / "more.npz", inputs=np.zeros(3), objects=np.array([{}], dtype=object))
    assert load_samples(tmp_path / "more.npz")[0].shape == (3,)
    with array_archive(tmp_path / "more.npz") as archive:
        assert list(archive) == ["inputs", "objects"] and len(archive) == 2
        with pytest.raises(ValueError, match="Python objects, not numbers"):
            archive["objects"]


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back_as_they_were(order: str, tmp_path: Path) -> None:
    array = np.asarray(np.arange(24.0).reshape(2, 3, 4), order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "array.npy", array)
    np.savez_compressed(tmp_path / "arrays.npz", array=array, text=np.array("words"))
    assert np.array_equal(read_array(tmp_path / "array.npy"), array)
    with array_archive(tmp_path / "arrays.npz") as archive:
        assert np.array_equal(archive["array"], array) and str(archive["text"]) == "words"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("pipe.npz", "pipe.npy"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match="it is no regular file"):
            load_samples(tmp_path / name)


def citation_graph(nodes: int, width: int, entries: int) -> dict[str, Any]:
    """Arrays that pack well, with so many entries, all at the first place of the first node."""
    return {
        "x_data": np.zeros(entries, np.uint8),
        "x_indices": np.zeros(entries, np.uint8),
        "x_indptr": np.minimum(np.arange(nodes + 1), 1) * entries,
        "x_shape": np.array([nodes, width]),
        "edge_index": np.zeros((2, 0), np.int64),
        "y": np.zeros(nodes, np.int64),
        **{name: np.zeros(nodes, bool) for name in ("train_mask", "val_mask", "test_mask")},
    }


LARGE_GRAPHS: dict[str, tuple[dict[str, Any], str]] = {
    "few entries": (citation_graph(2**13, 2**16, 1), "x_shape is 8192 x 65536, for 1 entries in"),
    "entries that pack well": (citation_graph(2, 2**26, 2**20), "x_shape is 2 x 67108864, for 1048576 entries in"),
    "more entries than bytes": (citation_graph(1, 1, 2**22 + 1), "x_data has 4194305 elements, in a file of"),
    "more edges than bytes": (
        citation_graph(1, 1, 1) | {"edge_index": np.zeros((2, 2**22), np.uint8)},
        "edge_index has 8388608 elements, in a file of",
    ),
}


@pytest.mark.parametrize("kind", LARGE_GRAPHS)
def test_a_small_file_makes_no_large_citation_graph(kind: str, tmp_path: Path) -> None:
    arrays, reason = LARGE_GRAPHS[kind]
    np.savez_compressed(tmp_path / "graph.npz", **arrays)
    with pytest.raises(InputError, match=rf"graph\.npz .*: {reason}"):
        load_planetoid(tmp_path / "graph.npz")
