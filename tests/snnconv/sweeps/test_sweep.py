"""Sweeps: figures, resuming after an interruption, and what is recorded or refused."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import snnconv
from coding import Burst, CodingPlan, Concurrent, FewSpike, Rate
from neurons import IntegrateFire
from snnconv import ConfigurationError, StorageError, Sweep, evaluate
from snnconv.calibration import assembly
from snnconv.calibration.observing import observe
from snnconv.progress import Progress
from snnconv.simulators.simulator import Simulator
from tests.support.interruption import stopped_at
from tests.support.networks import make
from tests.support.sweeps import CODINGS, Case


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
        "capturing",
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
    module = sys.modules["snnconv.sweeps.rows"]

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
        snnconv.sweep(nn.Sequential(nn.Linear(6, 6), nn.LogSoftmax(1), nn.Linear(6, 4)).double(), *case[1:], CODINGS)
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


def test_an_estimate_counts_the_passes_that_the_sweep_then_makes(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass is a time step of a sample, or its window at once; what is stored, or not supported, costs none."""
    file = tmp_path / "sweep.json"
    snnconv.sweep(*case, {"rate 4": Rate(4)}, path=file)
    codings = {
        **CODINGS,
        "burst": CodingPlan(Burst(5), overrides={"nowhere": Rate(5)}),
        "pipeline": FewSpike(3, base=1.9),
    }
    before = file.read_bytes()
    told: list[Progress] = []
    expected = snnconv.estimate_sweep(*case, codings, path=file, progress=told.append)
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]
    elsewhere = tmp_path / "missing" / "sweep.json"
    assert snnconv.estimate_sweep(*case, {"rate 4": Rate(4)}, path=elsewhere).passes == {"rate 4": 240}
    assert [each.done for each in told if each.what == "estimating"] == [0, 1, 2, 3, 4]
    assert expected.stored == 1 and expected.seconds > 0.0 and "an estimate" in str(expected)
    made = dict.fromkeys(expected.passes, 0)
    run = Simulator.run

    def counting(simulator: Simulator, inputs: Any, *arguments: Any) -> Any:
        output, taken = run(simulator, inputs, *arguments)
        made[running[-1]] += len(taken) if simulator.name == "window" else int(taken.sum())
        return output, taken

    running: list[str] = []
    monkeypatch.setattr(Simulator, "run", counting)
    found = snnconv.sweep(*case, codings, path=file, progress=lambda each: running.append(each.what.partition(":")[0]))
    assert made == expected.passes == {"rate 8": 8 * 60, "few-spike 4": 60, "burst": 0, "pipeline": 60}
    assert [failure.label for failure in found.failures] == ["burst"]
