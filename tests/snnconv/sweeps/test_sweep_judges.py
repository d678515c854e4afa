"""A sweep measures what targets are, keeps it in its file, and refuses targets that do not fit before it begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import FewSpike, Rate
from snnconv import ClassJudge, InputError, StorageError, Sweep
from tests.support.sweeps import Case


@pytest.fixture(scope="module")
def regression() -> Case:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1)).eval().requires_grad_(False)
    x = torch.rand(80, 6)
    return model, x, (x, model(x) + 0.1)


def test_values_of_a_sweep_are_those_of_evaluate(regression: Case, tmp_path: Path) -> None:
    model, x, data = regression
    codings = {"coarse": FewSpike(4), "fine": FewSpike(10, spikes=4)}
    swept = snnconv.sweep(model, x, data, codings, path=tmp_path / "sweep.json")
    coarse, fine = swept.results
    single = snnconv.evaluate(snnconv.convert(model, x, coding=codings["fine"]), data, reference=model)
    assert single.errors is not None and single.reference_errors is not None
    assert (fine.relative_error, fine.mse, fine.r2) == (single.errors.relative, single.errors.mse, single.errors.r2)
    assert fine.reference_mse == single.reference_errors.mse == pytest.approx(0.01)
    assert fine.deviation == single.deviation < coarse.deviation  # type: ignore[operator]
    assert fine.accuracy is None and fine.agreement is None and fine.quality > coarse.quality
    assert "R2" in str(swept) and "MSE 0.01" in str(swept)
    assert Sweep.load(tmp_path / "sweep.json") == swept


def test_a_file_without_figures_of_values_is_read(case: Case, tmp_path: Path) -> None:
    file = tmp_path / "sweep.json"
    swept = snnconv.sweep(*case, {"rate": Rate(4)}, path=file)
    content = json.loads(file.read_text())
    for name in ("deviation", "relative_error", "mse", "r2"):
        content["results"]["rate"]["figures"].pop(name, None)
        content["results"]["rate"]["figures"].pop(f"reference_{name}", None)
    content["version"] = 1  # which had no checksums
    file.write_text(json.dumps(content))
    assert Sweep.load(file) == swept


def test_what_is_left_out_belongs_to_the_file(case: Case, tmp_path: Path) -> None:
    model, x, (inputs, targets) = case
    marked: Tensor = torch.where(targets == targets[0], 99, targets)
    file = tmp_path / "sweep.json"
    with pytest.raises(InputError, match="ignore_index=99"):
        snnconv.sweep(model, x, (inputs, marked), {"rate": Rate(4)}, path=file)
    assert not file.exists()
    (found,) = snnconv.sweep(model, x, (inputs, marked), {"rate": Rate(4)}, path=file, ignore_index=99).results
    kept = marked != 99
    wanted = snnconv.evaluate(snnconv.convert(model, x, coding=Rate(4)), (inputs[kept], targets[kept]), reference=model)
    assert (found.accuracy, found.reference_accuracy) == (wanted.accuracy, wanted.reference_accuracy)
    with pytest.raises(StorageError, match="another set of options"):
        snnconv.sweep(model, x, (inputs, marked), {"rate": Rate(4)}, path=file, ignore_index=99, judge=ClassJudge())
