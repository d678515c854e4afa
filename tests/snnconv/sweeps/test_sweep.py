"""Sweeps: figures, resuming after an interruption, and what is refused."""

from __future__ import annotations

import copy
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import Burst, CodingPlan, Concurrent, FewSpike, Rate
from neurons import IntegrateFire
from snnconv import ConfigurationError, StorageError, Sweep, evaluate
from snnconv.calibration import assembly
from snnconv.calibration.scales import observe
from snnconv.progress import Progress
from tests.support.interruption import stopped_at
from tests.support.networks import make

CODINGS = {"rate 4": Rate(4), "rate 8": Rate(8), "few-spike 4": FewSpike(4, base=1.9)}
Case = tuple[nn.Module, Tensor, tuple[Tensor, Tensor]]


@pytest.fixture(scope="module")
def case() -> Case:
    model, x = make("deep", samples=60)
    with torch.no_grad():
        targets = model(x).argmax(1)
    targets[::9] = (targets[::9] + 1) % 4
    return model, x[:40], (x, targets)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps of every evaluation that a sweep asks for."""
    calls: list[int] = []

    def counting(network: Any, *arguments: Any, **options: Any) -> Any:
        found = evaluate(network, *arguments, **options)
        calls.append(found.steps)
        return found

    monkeypatch.setattr(sys.modules["snnconv.sweeps.running"], "evaluate", counting)
    return calls


def test_figures_are_those_of_evaluate(case: Case) -> None:
    model, calibration, data = case
    found = snnconv.sweep(model, calibration, data, CODINGS, percentile=99.0)
    assert [result.label for result in found.results] == list(CODINGS) and not found.failures
    for result, coding in zip(found.results, CODINGS.values(), strict=True):
        alone = evaluate(snnconv.convert(model, calibration, coding=coding, percentile=99.0), data, reference=model)
        for name in ("samples", "steps", "accuracy", "reference_accuracy", "loss", "standard_error", "agreement"):
            assert getattr(result, name) == getattr(alone, name)
        assert (result.neurons, result.spikes_per_neuron, result.synops) == (32, alone.spikes_per_neuron, alone.synops)
        for name in ("e2", "e2_reference", "e3", "e3_reference"):
            assert getattr(result, name) == getattr(alone.energy, name)
        assert (result.latency, result.code) == (alone.mean_steps, coding.name)


def test_an_interrupted_sweep_goes_on_where_it_stopped(case: Case, tmp_path: Path, measured: list[int]) -> None:
    file = tmp_path / "sweep.json"
    with pytest.raises(KeyboardInterrupt):
        snnconv.sweep(*case, CODINGS, path=file, progress=stopped_at(1, "sweeping"))
    assert [result.label for result in Sweep.load(file).results] == ["rate 4"]
    told: list[Progress] = []
    resumed = snnconv.sweep(*case, CODINGS, path=file, progress=told.append)
    assert [each.done for each in told if each.what == "sweeping"] == [1, 2, 3]
    assert {each.what.partition(":")[0] for each in told} == {
        "reading calibration samples",
        "sweeping",
        "rate 8",
        "few-spike 4",
    }
    assert measured == [4, 8, 8]
    assert resumed == snnconv.sweep(*case, CODINGS) == Sweep.load(file)
    assert list(tmp_path.iterdir()) == [file]


def test_an_interruption_within_a_configuration_loses_only_it(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sweep.json"
    module = sys.modules["snnconv.sweeps.running"]

    def failing(network: Any, *arguments: Any, **options: Any) -> Any:
        if network.plan.hidden == Rate(8):
            raise KeyboardInterrupt
        return evaluate(network, *arguments, **options)

    monkeypatch.setattr(module, "evaluate", failing)
    with pytest.raises(KeyboardInterrupt):
        snnconv.sweep(*case, CODINGS, path=file)
    assert [result.label for result in Sweep.load(file).results] == ["rate 4"]


def test_a_changed_coding_is_measured_again_and_others_are_kept(
    case: Case, tmp_path: Path, measured: list[int]
) -> None:
    file = tmp_path / "sweep.json"
    snnconv.sweep(*case, {"a": Rate(4), "b": Rate(5)}, path=file)
    found = snnconv.sweep(*case, {"c": Rate(7), "a": Rate(6)}, path=file)
    assert measured == [4, 5, 7, 6]
    assert [(result.label, result.steps) for result in found.results] == [("c", 7), ("a", 6)]
    assert {result.label: result.steps for result in Sweep.load(file).results} == {"a": 6, "b": 5, "c": 7}


def test_the_input_code_is_part_of_the_coding(case: Case, tmp_path: Path, measured: list[int]) -> None:
    file = tmp_path / "sweep.json"
    for option in ({}, {"schedule": Concurrent(4)}, {"input": "poisson"}, {"input": "poisson"}):
        snnconv.sweep(*case, {"rate": Rate(4)}, path=file, **option)
    assert len(measured) == 2  # what a name, a code or a plan mean alike is alike
    snnconv.sweep(*case, {"rate": "rate"}, path=file, schedule=Concurrent(4))
    assert len(measured) == 3


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
    "future": (lambda text: text.replace(b'"version": 1', b'"version": 2'), "reads up to 1: update snnconv"),
    "odd version": (lambda text: text.replace(b'"version": 1', b'"version": "1"'), "its version is '1'"),
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
    content["results"]["rate"]["figures"]["synops"] = "here"
    file.write_text(json.dumps(content).replace('"here"', value))
    with pytest.raises(StorageError, match="the figures of 'rate' are incomplete"):
        Sweep.load(file)
    assert snnconv.sweep(*case, {"rate": Rate(4)}, path=file) == first == Sweep.load(file)
    assert measured == [4, 4]


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


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"neuron": "corective"}, "neuron 'corective' is unknown; give one of integrate-fire, corrective"),
        ({"neuron": "signed"}, "neuron 'signed' cannot be made from a code alone"),
        ({"normalization": "foo"}, "normalization must be"),
        ({"percentile": 0.0}, "percentile must be"),
        ({"negative": "both"}, "negative must be one of"),
        ({"input": "smell"}, "unknown input code 'smell'"),
    ],
    ids=str,
)
def test_a_mistaken_option_is_refused_before_anything_is_written(
    option: dict[str, Any], message: str, case: Case, tmp_path: Path, measured: list[int]
) -> None:
    file = tmp_path / "sweep.json"
    with pytest.raises(ConfigurationError, match=message):
        snnconv.sweep(*case, CODINGS, path=file, **option)
    assert not file.exists() and measured == []


def test_what_is_not_supported_is_recorded_and_tried_again(case: Case, tmp_path: Path, measured: list[int]) -> None:
    file = tmp_path / "sweep.json"
    codings = {
        "no such code": "morse",
        "no such population": CodingPlan(Rate(4), overrides={"nowhere": Rate(5)}),
        "rate": Rate(4),
    }
    found = snnconv.sweep(*case, codings, path=file)
    assert [result.label for result in found.results] == ["rate"]
    assert [failure.label for failure in found.failures] == ["no such code", "no such population"]
    assert "unknown code 'morse'" in found.failures[0].reason
    assert "failed: no such population: no population is called 'nowhere'" in str(found)
    assert Sweep.load(file) == found
    codings["no such code"] = Burst(5)
    assert [result.label for result in snnconv.sweep(*case, codings, path=file).results] == ["no such code", "rate"]
    assert measured == [4, 5]


def test_a_model_that_cannot_be_converted_is_no_failed_coding(case: Case) -> None:
    with pytest.raises(snnconv.UnsupportedModelError):
        snnconv.sweep(nn.Sequential(nn.Linear(6, 6), nn.GELU(), nn.Linear(6, 4)).double(), *case[1:], CODINGS)
    with pytest.raises(snnconv.InputError, match="data"):
        snnconv.sweep(*case[:2], case[1][:, :3], CODINGS)
    with pytest.raises(ConfigurationError, match="codings must map labels"):
        snnconv.sweep(*case, {})
    with pytest.raises(ConfigurationError, match="labels must differ as text, got 1, '1'"):
        snnconv.sweep(*case, {1: Rate(4), "1": Rate(8)})
    with pytest.raises(ConfigurationError, match=r"reference must be a torch\.nn\.Module, got function"):
        snnconv.sweep(*case, CODINGS, reference=lambda x: x)  # type: ignore[arg-type]
    assert "search for them by convert" in snnconv.sweep(*case, {"auto": "auto"}).failures[0].reason


def test_neurons_are_told_apart_or_refused(case: Case, tmp_path: Path, measured: list[int]) -> None:
    codings = {"rate": Rate(4)}
    for number, make_neuron in enumerate(
        (IntegrateFire, functools.partial(IntegrateFire, reset="zero"), IntegrateFire(Rate(4)))
    ):
        file = tmp_path / f"{number}.json"
        first = snnconv.sweep(*case, codings, path=file, neuron=make_neuron)
        assert snnconv.sweep(*case, codings, path=file, neuron=make_neuron) == first
        with pytest.raises(StorageError, match="another set of options"):
            snnconv.sweep(*case, codings, path=file, neuron="corrective")
    assert len(measured) == 3
    with pytest.raises(ConfigurationError, match=r"neuron=.* cannot be recognised .* leave path out"):
        snnconv.sweep(*case, codings, path=tmp_path / "lambda.json", neuron=lambda code: IntegrateFire(code))
    assert snnconv.sweep(*case, codings, neuron=lambda code: IntegrateFire(code)).results
    with pytest.raises(ConfigurationError, match="cannot be recognised"):  # its object may differ
        snnconv.sweep(*case, codings, path=tmp_path / "method.json", neuron=Maker("zero").make)


class Maker:
    def __init__(self, reset: str) -> None:
        self.reset = reset

    def make(self, code: Any) -> IntegrateFire:
        return IntegrateFire(code, reset=self.reset)  # type: ignore[arg-type]


def test_all_rows_share_one_capture_one_reference_and_a_calibration_for_each_kind_of_schedule(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, calibration, data = case
    model, _ = make("deep")
    runs: list[str] = []
    model.register_forward_hook(lambda *_: runs.append("model"))
    monkeypatch.setattr(assembly, "observe", lambda *given: runs.append("observe") or observe(*given))
    snnconv.sweep(model, calibration, data, {"rate 4": Rate(4)})
    alone = runs.copy()
    runs.clear()
    pipelines = {"few-spike 4": FewSpike(4, base=1.9), "few-spike 6": FewSpike(6, base=1.9)}
    snnconv.sweep(model, calibration, data, {"rate 4": Rate(4), "rate 8": Rate(8), **pipelines})
    assert runs.count("model") == alone.count("model")
    assert (alone.count("observe"), runs.count("observe")) == (1, 2)


def test_an_option_that_a_sweep_does_not_have_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(ConfigurationError, match=r"sweep has no option 'max_loss'; .*percentile, neuron"):
        snnconv.sweep(torch.nn.ReLU(), torch.rand(4, 3), torch.rand(4, 3), CODINGS, max_loss=0.5)
