"""Windows too short for the range of a population's values say so, with a length that would do."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

import snnconv
from coding import TTFS, Code, FewSpike, OneSpike, Phase, TableSpike


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 3))


def warnings_of(code: Code, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="snnconv"):
        snnconv.convert(model(), torch.randn(200, 6, generator=torch.Generator().manual_seed(1)), coding=code)
    return [record.getMessage() for record in caplog.records if "too short" in record.getMessage()]


@pytest.mark.parametrize("code", [OneSpike(4, 1.1), TTFS(12, 20.0), FewSpike(3, 1.1, 2)], ids=str)
def test_a_short_window_names_a_length_that_would_do(code: Code, caplog: pytest.LogCaptureFixture) -> None:
    (message,) = warnings_of(code, caplog)
    found = re.search(r"of (\d+) steps .*: (\d+) activations .* are silenced; (\d+) steps would do", message)
    assert found is not None
    steps, count, enough = map(int, found.groups())
    assert steps == code.steps and count > 0
    assert warnings_of(replace(code, steps=enough), caplog) == []
    assert len(warnings_of(replace(code, steps=enough - 1), caplog)) == 1


@pytest.mark.parametrize("code", [OneSpike(16), FewSpike(6), Phase(8)], ids=str)
def test_a_window_of_sufficient_range_is_silent_about_it(code: Code, caplog: pytest.LogCaptureFixture) -> None:
    assert warnings_of(code, caplog) == []


@pytest.mark.parametrize("code", [OneSpike(8), FewSpike(6), TTFS(20, "fit"), TableSpike(8)], ids=str)
def test_a_population_that_never_fires_gets_a_code_that_can_run(code: Code) -> None:
    silent = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        silent[0].weight.zero_()
        silent[0].bias.fill_(-1.0)
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(snnconv.convert(silent, x, coding=code)(x), silent(x).detach())


def test_a_search_says_so_of_the_network_it_chose(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnconv.search.searching.CANDIDATES", (OneSpike(4, 1.1),))
    with caplog.at_level(logging.WARNING, logger="snnconv"):
        snnconv.convert(
            model(),
            torch.randn(200, 6, generator=torch.Generator().manual_seed(1)),
            coding="auto",
            max_loss=99.0,
        )
    assert [record for record in caplog.records if "too short" in record.getMessage()]
