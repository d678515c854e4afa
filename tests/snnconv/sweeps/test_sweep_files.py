"""The file of a sweep: what it may be continued with, and what is no such file."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import snnconv
from coding import Rate
from snnconv import StorageError, Sweep
from snnconv.sweeps.file import SweepFile, read
from tests.support.sweeps import CODINGS, Case


def other_weights(model: nn.Module, x: Tensor, data: Any) -> tuple[Any, ...]:
    model = copy.deepcopy(model)
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1e-6
    return model, x, data


class Steeper(nn.Module):
    """The same weights, used otherwise."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.layers(2.0 * x)
        return scores


CHANGES: dict[str, Callable[[Any, Tensor, Any], tuple[Any, ...]]] = {
    "model": other_weights,
    "model ": lambda model, x, data: (Steeper(model.layers), x, data),
    "calibration": lambda model, x, data: (model, x[1:], data),
    "data set": lambda model, x, data: (model, x, (data[0], data[1].roll(1))),
    "data set ": lambda model, x, data: (model, x, (data[0][:50], data[1][:50])),
    "data set  ": lambda model, x, data: (model, x, data[0]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_of_another_model_or_other_data_is_refused(change: str, case: Case, tmp_path: Path) -> None:
    file = tmp_path / "sweep.json"
    snnconv.sweep(*case, {"rate": Rate(4)}, path=file)
    before = file.read_bytes()
    with pytest.raises(StorageError, match=f"another {change.strip()}; .* take another path, or delete the file"):
        snnconv.sweep(*CHANGES[change](*case), {"rate": Rate(4)}, path=file)
    assert file.read_bytes() == before


def test_other_options_and_another_reference_are_refused(case: Case, tmp_path: Path) -> None:
    file = tmp_path / "sweep.json"
    snnconv.sweep(*case, {"rate": Rate(4)}, path=file, reference=case[0])
    with pytest.raises(StorageError, match="another set of options;"):
        snnconv.sweep(*case, {"rate": Rate(4)}, path=file, percentile=98.0)
    with pytest.raises(StorageError, match="another reference;"):
        snnconv.sweep(*case, {"rate": Rate(4)}, path=file, reference=copy.deepcopy(case[0]))


@pytest.mark.parametrize("written", [True, False])
def test_a_file_of_another_version_is_refused(written: bool, case: Case, tmp_path: Path) -> None:
    file = tmp_path / "sweep.json"
    snnconv.sweep(*case, {"rate": Rate(4)}, path=file)
    content = json.loads(file.read_text())
    assert content["common"]["version of snnconv"] == snnconv.__version__
    if written:
        content["common"]["version of snnconv"] = "99.0"
    else:  # by a version that did not say which it was
        del content["common"]["version of snnconv"]
    file.write_text(json.dumps(content))
    with pytest.raises(StorageError, match=r"another version of snnconv; .* take another path, or delete the file"):
        snnconv.sweep(*case, {"rate": Rate(4)}, path=file)
    assert json.loads(file.read_text()) == content and len(Sweep.load(file).results) == 1


@pytest.mark.parametrize(
    "again",
    [
        lambda x: x.flip(0),
        lambda x: [(part, torch.zeros(len(part), dtype=torch.int64)) for part in x.split(7)],
        lambda x: DataLoader(TensorDataset(x, x[:, 0]), batch_size=9, shuffle=True),
    ],
    ids=["permuted", "other batches, with labels", "a shuffling loader"],
)
def test_calibration_samples_may_come_in_another_order_and_other_batches(
    again: Callable[[Tensor], Any], case: Case, tmp_path: Path, measured: list[int]
) -> None:
    model, calibration, data = case
    first = snnconv.sweep(*case, {"rate": Rate(4)}, path=tmp_path / "sweep.json")
    found = snnconv.sweep(
        model, again(calibration), data, {"rate": Rate(4), "more": Rate(5)}, path=tmp_path / "sweep.json"
    )
    assert measured == [4, 5] and found.results[0] == first.results[0]


def test_batches_and_a_generator_are_the_same_data(case: Case, tmp_path: Path, measured: list[int]) -> None:
    model, calibration, (x, targets) = case
    file = tmp_path / "sweep.json"
    codings = {"rate": Rate(4)}
    whole = snnconv.sweep(*case, codings, path=file)
    parts = list(zip(torch.split(x, 17), torch.split(targets, 17), strict=True))
    assert snnconv.sweep(model, iter(torch.split(calibration, 9)), iter(parts), codings, path=file) == whole
    assert len(measured) == 1
    assert [r.samples for r in snnconv.sweep(model, calibration, iter(parts), {**codings, "b": Rate(5)}).results] == [
        60
    ] * 2


@pytest.fixture(scope="module")
def written(case: Case, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a sweep writes."""
    file = tmp_path_factory.mktemp("written") / "sweep.json"
    snnconv.sweep(*case, {"rate": Rate(4)}, path=file)
    return file.read_text()


NOT_SWEEPS: dict[str, tuple[Any, str]] = {
    "truncated": (lambda text: text[: len(text) // 2], "holds no valid sweep: .*; delete it or take another path"),
    "no text": (lambda text: b"\xff\xfe\x00", "holds no valid sweep"),
    "nested": (lambda text: b"[" * 100_000, "holds no valid sweep"),
    "not a number": (lambda text: text.replace(b'"synops": ', b'"synops": NaN, "a": '), "NaN is no figure"),
    "beyond a float": (lambda text: text.replace(b'"synops": ', b'"synops": 1e999, "a": '), "1e999 is no figure"),
    "more digits than a float has": (
        lambda text: text.replace(b'"synops": ', b'"synops": 1' + 400 * b"0" + b', "a": '),
        "is no figure",
    ),
    "other JSON": (lambda text: b'{"a": 1}', "not the file of a sweep"),
    "a list": (lambda text: b"[]", "not the file of a sweep"),
    "future": (lambda text: text.replace(b'"version": 2', b'"version": 3'), "reads up to 2: update snnconv"),
    "odd version": (lambda text: text.replace(b'"version": 2', b'"version": "2"'), "its version is '2'"),
    "no results": (lambda text: text.replace(b'"results"', b'"result"'), "lacks its results"),
    "result no mapping": (lambda text: text.replace(b'"rate": {', b'"x": 3, "rate": {'), "a result is no mapping"),
}


@pytest.mark.parametrize("kind", NOT_SWEEPS)
def test_a_file_that_is_no_sweep_is_refused_and_kept(kind: str, case: Case, tmp_path: Path) -> None:
    file = tmp_path / "sweep.json"
    snnconv.sweep(*case, {"rate": Rate(4)}, path=file)
    damage, message = NOT_SWEEPS[kind]
    file.write_bytes(damage(file.read_bytes()))
    before = file.read_bytes()
    for use in (lambda: snnconv.sweep(*case, {"rate": Rate(4)}, path=file), lambda: Sweep.load(file)):
        with pytest.raises(StorageError, match=message):
            use()
    assert file.read_bytes() == before


@pytest.mark.parametrize("value", ["null", '"4"', "true"])
def test_incomplete_figures_are_measured_again(value: str, case: Case, tmp_path: Path, measured: list[int]) -> None:
    file = tmp_path / "sweep.json"
    first = snnconv.sweep(*case, {"rate": Rate(4)}, path=file)
    content = json.loads(file.read_text())
    content["version"] = 1  # whose results carry no checksum
    content["results"]["rate"]["figures"]["synops"] = "here"
    file.write_text(json.dumps(content).replace('"here"', value))
    with pytest.raises(StorageError, match="the figures of 'rate' are incomplete"):
        Sweep.load(file)
    assert snnconv.sweep(*case, {"rate": Rate(4)}, path=file) == first == Sweep.load(file)
    assert measured == [4, 4]


def test_a_file_from_before_decisions_were_counted_is_read(tmp_path: Path, written: str) -> None:
    file, content = tmp_path / "sweep.json", json.loads(written)
    content["version"] = 1  # whose results carry no checksum
    counts = [content["results"]["rate"]["figures"].pop(name) for name in ("judged", "decided")]
    file.write_text(json.dumps(content))
    found = Sweep.load(file).results[0]
    assert counts == [60, 60] and (found.judged, found.decided) == (None, None) and found.accuracy is not None


IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "accuracy above 100": {"accuracy": 1234.0},
    "accuracy below 0": {"accuracy": -3.0},
    "agreement": {"agreement": 101.0},
    "spikes": {"spikes_per_neuron": -7.0},
    "energy": {"e3": -1.0},
    "energy of the original": {"e2_reference": -1e-3},
    "latency": {"latency": -4.0},
    "latency above the steps": {"latency": 5.0},
    "no samples": {"samples": 0},
    "no steps": {"steps": 0, "latency": 0.0},
    "neurons": {"neurons": -5},
    "macs": {"analog_macs": 10**9},
    "R2": {"r2": 1.5},
    "squared error": {"mse": -0.5},
    "loss that is no difference": {"loss": 50.0},
    "huge": {"accuracy": 10**18},
}


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_figures_that_cannot_be_are_refused_with_their_label(
    kind: str, case: Case, tmp_path: Path, written: str
) -> None:
    file, content = tmp_path / "sweep.json", {**json.loads(written), "version": 1}  # results carry no checksum
    content["results"]["rate"]["figures"].update(IMPOSSIBLE[kind])
    file.write_text(json.dumps(content))
    name = next(iter(IMPOSSIBLE[kind]))
    for use in (lambda: snnconv.sweep(*case, {"rate": Rate(4)}, path=file), lambda: Sweep.load(file)):
        with pytest.raises(
            StorageError, match=rf"sweep\.json holds no valid sweep: the result 'rate' cannot be: {name}"
        ):
            use()
    assert json.loads(file.read_text()) == content


def test_a_result_with_figures_did_not_fail(tmp_path: Path, written: str) -> None:
    content = {**json.loads(written), "version": 1}
    content["results"]["rate"]["failure"] = "no reason"
    (tmp_path / "sweep.json").write_text(json.dumps(content))
    with pytest.raises(StorageError, match="'rate' cannot be: it has figures and failed"):
        Sweep.load(tmp_path / "sweep.json")


def test_a_file_that_is_missing_or_has_no_folder_is_an_error(case: Case, tmp_path: Path, measured: list[int]) -> None:
    with pytest.raises(StorageError, match=r"none\.json cannot be read"):
        Sweep.load(tmp_path / "none.json")
    with pytest.raises(StorageError, match=r"sweep\.json cannot be written"):
        snnconv.sweep(*case, CODINGS, path=tmp_path / "no folder" / "sweep.json")
    for name in ("long" * 100, "null\0byte"):
        with pytest.raises(StorageError, match="cannot be written"):
            snnconv.sweep(*case, CODINGS, path=tmp_path / name)
    assert measured == []  # found out before the first measurement


def test_a_file_without_figures_binds_nobody(case: Case, tmp_path: Path) -> None:
    file = tmp_path / "sweep.json"
    mistaken = snnconv.sweep(*case, {"rate": "rat"}, path=file)
    assert "unknown code 'rat'" in mistaken.failures[0].reason
    found = snnconv.sweep(*case, {"rate": Rate(4)}, path=file, neuron="corrective")
    assert Sweep.load(file) == found and found.results


def test_results_of_several_processes_are_all_kept(tmp_path: Path) -> None:
    path, common = tmp_path / "sweep.json", {"model": "a"}
    first, second = SweepFile(path, common), SweepFile(path, common)
    for number in range(3):
        first.add(f"first {number}", {"figures": {"steps": number + 1}})
        second.add(f"second {number}", {"figures": {"steps": number + 1}})
    first.add("second 0", {"figures": {"steps": 7}})
    _, found = read(path)
    assert found.keys() == {f"{name} {number}" for name in ("first", "second") for number in range(3)}
    assert found["second 0"] == {"figures": {"steps": 7}} and first.entries == found
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_disappears_meanwhile_is_written_anew_with_all_results(tmp_path: Path) -> None:
    file = SweepFile(tmp_path / "sweep.json", {"model": "one"})
    file.add("first", {"failure": "too wide"})
    (tmp_path / "sweep.json").unlink()
    file.add("second", {"failure": "too deep"})
    assert read(tmp_path / "sweep.json")[1].keys() == {"first", "second"}


def test_two_sweeps_of_different_models_that_begin_at_once_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "sweep.json"
    first, second = SweepFile(path, {"model": "a"}), SweepFile(path, {"model": "b"})
    second.add("rate", {"figures": {"steps": 4}})
    with pytest.raises(StorageError, match=r"sweep\.json holds a sweep with another model"):
        first.add("rate", {"figures": {"steps": 5}})
    assert read(path) == ({"model": "b"}, {"rate": {"figures": {"steps": 4}}})


def test_a_result_that_was_altered_is_named_and_one_that_was_taken_out_is_not_missed(tmp_path: Path) -> None:
    path, common = tmp_path / "sweep.json", {"model": "a"}
    file = SweepFile(path, common)
    for steps in (4, 8):
        file.add(f"rate {steps}", {"figures": {"steps": steps, "accuracy": 91.25}})
    sound = path.read_text()
    for old, new in (("91.25", "91.75"), ('"rate 8"', '"rate 9"'), ('"sha256"', '"sha257"')):
        path.write_text(new.join(sound.rsplit(old, 1)))
        for use in (lambda: read(path), lambda: SweepFile(path, common)):
            with pytest.raises(StorageError, match=r"the result of 'rate [89]' was altered after it was saved"):
                use()
    content = json.loads(sound)
    del content["results"]["rate 8"]
    path.write_text(json.dumps(content))
    assert SweepFile(path, common).entries.keys() == {"rate 4"}
