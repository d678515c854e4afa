"""Files that claim to be bundles: whatever is wrong is found before memory or processes are spent on it."""

from __future__ import annotations

import copy
import json
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hw_export.lava.child import LavaError
from hw_export.lava.launch import MAIN, launch
from tests.hw_export.lava.lava_bundles import Builder, negative, stream
from tests.hw_export.lava.lava_networks import NETWORKS, lookup, table

sys.path.append(str(MAIN.parent))  # the runtime is a program of its own, its folder no package

from lava_runtime.bundle import read_bundle, read_inputs
from lava_runtime.errors import BundleError

Manifest = dict[str, Any]


def small() -> Builder:
    """One part of every kind; the tests below know their places."""
    net = Builder(steps=6, seed=8)
    net.input("image", (2, 4, 4))
    net.population("stream", (3, 4, 4), 1, stream(negative=negative("graded", 2)))
    net.population("table", (4,), 2, table(net, 1, [4, 2, 1], [[4, 2, 1]], 2, 3))
    net.gate("gate", "stream", "ranked")
    net.output("sum", (2,), 3)
    net.convolution("image", "stream")
    net.dense("gate", "table")
    net.sparse("table", "sum")
    return net


def refused(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_bundle(str(path))
    return str(caught.value)


@pytest.mark.parametrize("name", NETWORKS)
def test_whole_bundles_are_read(name: str, tmp_path: Path) -> None:
    net = NETWORKS[name]()
    network = read_bundle(str(net.save(tmp_path / "net.npz")))
    assert set(network.inputs) | set(network.populations) | set(network.gates) | set(network.outputs) == set(net.shapes)
    assert len(network.connections) == len(net.manifest["connections"])


def change(place: str, value: Any) -> Callable[[Manifest], None]:
    """A change of the field at ``place``, such as ``populations.0.depth``."""

    def apply(manifest: Manifest) -> None:
        *keys, last = [int(key) if key.isdigit() else key for key in place.split(".")]
        entry: Any = manifest
        for key in keys:
            entry = entry[key]
        if value is None and last in ("version", "steps", "name"):
            del entry[last]
        else:
            entry[last] = value

    return apply


HUGE = 10**12
CHANGES: list[tuple[str, Any, str]] = [
    ("format", "snnconv", "manifest.format"),
    ("version", 4, "update snnconv"),
    ("version", 0, "manifest.version"),
    ("version", True, "manifest.version"),
    ("version", None, "no field 'version'"),
    ("steps", None, "no field 'steps'"),
    ("steps", 0, "manifest.steps"),
    ("steps", 2.5, "manifest.steps"),
    ("steps", HUGE, "manifest.steps"),
    ("interval", 5, "manifest.interval"),
    ("inputs", {}, "manifest.inputs"),
    ("inputs.0", [], "must be an object"),
    ("inputs.0.name", "", "a name of"),
    ("inputs.0.name", "a\0b", "a name of"),
    ("inputs.0.name", "stream", "occurs twice"),
    ("inputs.0.shape", [HUGE, 1, 1], "inputs[0].shape"),
    ("inputs.0.shape", [10**6, 10**3, 10**3], "has 1000000000000 neurons"),
    ("inputs.0.shape", [4, 4], "list of 1 or 3"),
    ("inputs.0.repeat", 1, "true or false"),
    ("outputs", [], "at least one output"),
    ("outputs.0.shape", [10**9], "has 1000000000 neurons"),
    ("outputs.0.depth", 0, "outputs[0].depth"),
    ("outputs.0.depth", 10**6, "connections[2].delay"),
    ("populations.0.depth", -1, "populations[0].depth"),
    ("populations.0.rule", "leaky", "one of lookup, stream, table"),
    ("populations.0.unit", "no", "populations[0].unit"),
    ("populations.0.threshold", "array99", "name of an array"),
    ("populations.0.threshold", ["array0"], "name of an array"),
    ("populations.0.gain", 3, "populations[0].gain"),
    ("populations.0.reset", "none", "one of subtract, zero"),
    ("populations.0.negative.kind", "balanced", "one of graded, imbalanced"),
    ("populations.0.negative.reciprocal_slope", 0, "negative.reciprocal_slope"),
    ("populations.0.negative", [1], "must be an object"),
    ("populations.1.limit", -1, "populations[1].limit"),
    ("populations.1.reciprocal_slope", 2**31 - 1, None),
    ("populations.2.source", "nobody", "unknown source"),
    ("populations.2.source", "gate", "its own source"),
    ("populations.2.depth", 2, "its source 'stream' 1"),
    ("populations.2.shape", [3, 3, 3], "its source and window make"),
    ("populations.2.kernel", [2, 10**9], "populations[2].kernel"),
    ("populations.2.kernel", [2, 4000], "its source and window make"),
    ("populations.2.stride", [0, 1], "populations[2].stride"),
    ("populations.2.padding", [[0, 0], [0, -1]], "padding.width"),
    ("populations.2.padding", [[2, 0], [0, 0]], "wider than its window"),
    ("populations.2.mode", "mean", "one of accumulated, ranked"),
    ("connections.0.delay", -1, "connections[0].delay"),
    ("connections.0.delay", 0, "connections[0].delay"),
    ("connections.0.delay", 2, "difference of the depths"),
    ("connections.0.source", "nobody", "connections[0].source"),
    ("connections.0.source", "table", "connections[0].delay"),
    ("connections.0.target", "gate", "connections[0].target"),
    ("connections.0.target", "image", "connections[0].target"),
    ("connections.0.kind", "pool", "one of convolution, dense, sparse"),
    ("connections.0.stride", [1, 0], "connections[0].stride"),
    ("connections.0.padding", [10**9, 1], "the convolution makes"),
    ("connections.0.dilation", [2, 2], "the convolution makes"),
    ("connections.0.groups", 2, "does not fit 2 groups"),
    ("connections.1.kind", "sparse", "no field 'data'"),
    ("connections.2.data", "array0", "not int8"),
]


@pytest.mark.parametrize(("place", "value", "words"), CHANGES, ids=lambda value: str(value)[:30])
def test_wrong_fields_are_named(place: str, value: Any, words: str | None, tmp_path: Path) -> None:
    net = small()
    manifest = copy.deepcopy(net.manifest)
    change(place, value)(manifest)
    net.manifest = manifest
    path = net.save(tmp_path / "net.npz")
    if words is None:
        read_bundle(str(path))
    else:
        assert words in refused(path)


@pytest.mark.parametrize(
    ("array", "values", "words"),
    [
        ("populations.0.threshold", np.zeros((3, 1, 1), np.int32), "thresholds are at least 1"),
        ("populations.0.threshold", np.ones((3, 1), np.int32), "must broadcast"),
        ("populations.0.threshold", np.ones((3, 2, 1), np.int32), "must broadcast"),
        ("populations.0.threshold", np.ones((3, 1, 1), np.int64), "is int64, not int32"),
        ("populations.0.bias", np.ones((3, 1, 1), np.float32), "is float32, not int32"),
        ("populations.1.payloads", np.ones((0,), np.int32), "must be one row"),
        ("populations.1.thresholds", np.ones((2, 2), np.int32), "not rows of 3"),
        ("populations.1.thresholds", np.full((1, 3), 2**31 - 1, np.int32), None),
        ("connections.0.weight", np.ones((3, 2, 5, 5), np.int8), "the convolution makes"),
        ("connections.0.weight", np.ones((3, 2, 3, 0), np.int8), "cannot convolve"),
        ("connections.0.weight", np.ones((3, 2, 9), np.int8), "cannot convolve"),
        ("connections.0.weight", np.ones((3, 2, 3, 3), np.int16), "is int16, not int8"),
        ("connections.1.weight", np.ones((12, 4), np.int8), "it must be [4, 12]"),
        ("connections.2.indptr", np.array([0, 2], np.int32), "no compressed rows"),
        ("connections.2.indptr", np.array([0, 99, 3], np.int32), "does not count"),
        ("connections.2.indptr", np.array([1, 2, 3], np.int32), "does not count"),
    ],
)
def test_wrong_arrays_are_named(array: str, values: np.ndarray, words: str | None, tmp_path: Path) -> None:
    net = small()
    kind, index, field = array.split(".")
    net.manifest[kind][int(index)][field] = "other"
    net.arrays["other"] = values
    path = net.save(tmp_path / "net.npz")
    if words is None:
        read_bundle(str(path))
    else:
        assert words in refused(path)


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        ("thresholds", np.array([[3, 4]], np.int32), "thresholds rise with time"),
        ("thresholds", np.array([[1 << 23, 4]], np.int32), "thresholds holds numbers outside"),
        ("thresholds", np.ones((2, 2), np.int32), "thresholds has shape [2, 2], not 1 or 3 rows"),
        ("thresholds", np.ones((1, 0), np.int32), "thresholds has shape [1, 0]"),
        ("thresholds", np.array(4, np.int32), "thresholds has shape []"),
        ("payloads", np.ones((1, 3), np.int32), "payloads has shape [1, 3]"),
        ("payloads", np.ones((1, 2), np.int64), "is int64, not int32"),
        ("origins", np.full((3, 2), -(1 << 23), np.int32), "origins holds numbers outside"),
        ("widths", np.zeros((1, 2), np.int32), "widths holds numbers outside 1"),
        ("widths", np.full((1, 2), (1 << 28) + 1, np.int32), "widths holds numbers outside 1"),
        ("slopes", np.full((1, 2), 1 << 22, np.int32), "too large payloads"),
        ("window", 1, "no room for its cells"),
        ("window", 1 << 31, "window is"),
        ("fire_from", -1, "fire_from"),
    ],
)
def test_wrong_tables_are_named(field: str, values: Any, words: str, tmp_path: Path) -> None:
    net = Builder(steps=6, seed=8)
    net.input("image", (2, 4, 4))
    net.population("lookup", (3, 4, 4), 1, lookup(net, 1, cells=2, window=5, channels=1))
    net.output("sum", (3, 4, 4), 2)
    net.convolution("image", "lookup")
    net.convolution("lookup", "sum")
    read_bundle(str(net.save(tmp_path / "net.npz")))
    if isinstance(values, np.ndarray):
        net.arrays["other"], values = values, "other"
    net.manifest["populations"][0][field] = values
    assert words in refused(net.save(tmp_path / "net.npz"))


def test_sources_of_sparse_rows_must_exist(tmp_path: Path) -> None:
    for index in (-1, 4, 2**31 - 1):
        net = small()
        indices = net.arrays[net.manifest["connections"][2]["indices"]]
        indices[-1] = index
        assert "indices name sources outside 0 to 3" in refused(net.save(tmp_path / "net.npz"))


def test_products_that_exceed_their_integers_are_refused(tmp_path: Path) -> None:
    net = small()
    net.manifest["populations"][1]["thresholds"] = net.array(np.full((1, 3), 2**31 - 1), "int32")
    net.manifest["populations"][1]["threshold"] = net.array([2**31 - 1], "int32")
    net.manifest["populations"][1]["reciprocal_slope"] = 2**31 - 1
    assert "exceed 62 bits" in refused(net.save(tmp_path / "net.npz"))


def test_more_relays_than_processes_are_refused(tmp_path: Path) -> None:
    net = small()
    net.manifest["outputs"][0]["depth"] = 10**6
    net.manifest["connections"][2]["delay"] = 10**6 - 2
    assert "processes, more than" in refused(net.save(tmp_path / "net.npz"))


def test_gates_in_a_circle_are_refused(tmp_path: Path) -> None:
    net = small()
    net.gate("second", "gate", "ranked", (1, 1), (1, 1))
    net.gate("third", "second", "ranked", (1, 1), (1, 1))
    net.manifest["populations"][3]["source"] = "third"
    assert "is its own source" in refused(net.save(tmp_path / "net.npz"))


def test_windows_of_padding_alone_are_refused(tmp_path: Path) -> None:
    net = small()
    del net.manifest["populations"][2]
    # from -4 to 1, then from -1 to 4, which skips the map's 0 to 3
    net.gate("gate", "stream", "ranked", (2, 1), (3, 1), ((4, 4), (0, 0)), (5, 1))
    assert "nothing but padding" in refused(net.save(tmp_path / "net.npz"))


def test_the_file_holds_what_the_manifest_lists(tmp_path: Path) -> None:
    net = small()
    arrays = {n: {"shape": list(a.shape), "dtype": a.dtype.name} for n, a in net.arrays.items()}
    missing = {name: entry for name, entry in arrays.items() if name != "array3"}
    wrong = {**arrays, "array3": {"shape": [7], "dtype": "int32"}}
    assert "differ in the arrays array3" in refused(net.save(tmp_path / "a.npz", arrays=missing))
    assert "differ in the arrays other" in refused(net.save(tmp_path / "b.npz", arrays={**arrays, "other": {}}))
    assert "does not describe array 'array3'" in refused(net.save(tmp_path / "c.npz", arrays=wrong))


def test_truncated_and_altered_files_are_refused_or_whole(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    content = small().save(path).read_bytes()
    random = np.random.default_rng(0)
    for length in [0, 1, 30, *random.integers(0, len(content), 30), len(content) - 1]:
        path.write_bytes(content[:length])
        assert "truncated, altered" in refused(path)
    found = 0
    for position in random.integers(0, len(content), 300):
        altered = bytearray(content)
        altered[position] ^= 1 << int(random.integers(8))
        path.write_bytes(altered)
        try:
            read_bundle(str(path))  # bytes such as the time of a member mean nothing
        except BundleError:
            found += 1
    assert found > 200


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    assert "cannot be read" in refused(path)
    path.write_text("no archive")
    assert "cannot be read" in refused(path)
    np.savez(path, weights=np.zeros(3))
    assert "no bundle" in refused(path)
    np.savez(path, manifest=np.array("{"))
    assert "not valid JSON" in refused(path)
    np.savez(path, manifest=np.array('{"format": NaN}'))
    assert "not valid JSON" in refused(path)
    np.savez(path, manifest=np.array("[" * 100_000))
    assert "not valid JSON" in refused(path)
    np.savez(path, manifest=np.array([{"pickled": 1}], dtype=object))
    assert "objects instead of numbers" in refused(path)


def test_headers_that_claim_too_much_take_no_memory(tmp_path: Path) -> None:
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i4", "fortran_order": False, "shape": (HUGE,)})
    path = tmp_path / "net.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.npy", header.getvalue())
    assert "another size than its header claims" in refused(path)
    net = small()
    content = json.dumps({**net.manifest, "arrays": {}})
    np.savez(path, manifest=np.array(content + " " * 500_000))  # compresses a thousandfold and more
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_BZIP2) as bomb:
        bomb.writestr("manifest.npy", plain.read("manifest.npy"))
    assert "packed in a way that numpy does not write" in refused(tmp_path / "bomb.npz")
    np.savez_compressed(path, manifest=np.array(content))
    with zipfile.ZipFile(path) as archive:
        size = archive.infolist()[0].file_size
    path.write_bytes(path.read_bytes().replace(size.to_bytes(4, "little"), (2**28 + 1).to_bytes(4, "little")))
    assert "claims 268435457 bytes, more than 100 times its own" in refused(path)


def test_inputs_must_agree(tmp_path: Path) -> None:
    net = NETWORKS["parts"]()
    network = read_bundle(str(net.save(tmp_path / "net.npz")))
    samples = {**net.samples(2), "left": np.zeros((3, 3), int)}
    np.savez(tmp_path / "inputs.npz", **samples)
    with pytest.raises(BundleError, match="different numbers of samples"):
        read_inputs(str(tmp_path / "inputs.npz"), network)


@pytest.mark.parametrize("what", ["future", "truncated", "neurons"])
def test_a_run_reports_what_is_wrong_with_its_bundle(what: str, tmp_path: Path) -> None:
    net = small()
    samples = net.samples(1)
    if what == "neurons":
        net.manifest["populations"][0]["shape"] = [10**4, 10**4, 10**4]
    path = net.save(tmp_path / "net.npz", **({"version": 99} if what == "future" else {}))
    if what == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    words = {"future": "has version 99", "truncated": "truncated, altered", "neurons": "populations\\[0\\]|neurons"}
    with pytest.raises(LavaError, match=words[what]):
        launch(path, samples, timeout=120)
