"""What is left out of a report: samples that nobody asked for, what is not judged, and what would make it too large."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import snnconv
from coding import FewSpike, Rate
from snnconv import ConfigurationError
from snnconv.metrics.value_judge import ValueJudge
from snnconv.reporting import measuring
from snnconv.reporting.contents import Contents
from snnconv.reporting.fronts import fronts_part
from snnconv.sweeps.table import Sweep
from tests.support.networks import make, network_of, zoo
from tests.support.reports import detectors, swept
from tests.support.transformers import transformer


def test_no_sample_may_be_shown() -> None:
    _, x = make("deep")
    html = snnconv.report(network_of("deep"), x[:4], samples=0).html
    assert 'id="spikes"' not in html and 'id="populations"' in html
    model, tokens = transformer("attention")
    network = snnconv.convert(model, tokens, coding=FewSpike(8))
    assert 'id="attention"' in snnconv.report(network, tokens[:2], samples=0).html


def test_samples_whose_spikes_are_too_many_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _, x = make("deep")
    network = network_of("deep")
    marks = [
        sum(int(train.payloads.ne(0).sum()) for train in sample.trains)
        for sample in measuring.look_closely(
            network, (x[:2],), None, simulator="auto", steps=None, seed=0, shown=2, decides=True
        ).shown
    ]
    for most, shown, said in (
        (10**6, 2, ""),
        (min(marks) // 8, 0, "Even two neurons of each population fire too often"),
    ):
        monkeypatch.setattr(measuring, "_MOST_MARKS", most)
        html = snnconv.report(network, x[:2]).html
        assert len(re.findall('class="raster"', html)) == shown and said in html


def test_a_custom_ignored_target_is_no_class() -> None:
    _, x = make("deep")
    targets = torch.tensor([255, 1, 255])
    html = snnconv.report(network_of("deep"), (x[:3], targets), ignore_index=255).html
    assert " and is 255" not in html and html.count(" and is ") == 1


def test_targets_that_are_all_0_have_no_course() -> None:
    model, x = make("deep")
    data = (x[:4], torch.zeros_like(model(x[:4])))
    report = snnconv.report(network_of("deep"), data, reference=model, judge=ValueJudge())
    assert "deviation from the original ends at" in report.html and "error against targets ends" not in report.html


def test_an_evaluation_of_another_network_is_refused() -> None:
    found = snnconv.evaluate(zoo("perceptron", coding=Rate(4)), make("perceptron")[1][:4])
    with pytest.raises(ConfigurationError, match="evaluation is of another network"):
        snnconv.report(network_of("deep"), evaluation=found)


def test_pictures_that_are_not_shown_are_not_opened(tmp_path: Path) -> None:
    original, network, pictures = detectors()
    given: list[Any] = [*pictures, *pictures, tmp_path / "missing.png"]
    html = snnconv.report(network, detector=original, pictures=given).html
    assert html.count('id="picture-') == 6 and "missing" not in html


def test_dots_of_a_large_sweep_are_some_of_them() -> None:
    rows = [swept(f"rate {n}", "rate", 4, 50.0 + n / 100, 1.0 + n) for n in range(900)]
    rows += [swept(f"worse {n}", "rate", 4, 10.0, 2000.0 + n) for n in range(900)]
    part = fronts_part(Contents("Sweep", network_of("deep"), sweep=Sweep(tuple(rows))))
    assert part is not None and len(part.content) < 500_000
    assert "1,300 configurations are not drawn" in part.content
