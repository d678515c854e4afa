"""The search for networks that break a property: it keeps what it finds, small, and goes on where it stood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import networks
from tests.properties.corpus import read
from tests.support.random_networks.codings import Setting
from tests.support.random_networks.script import Script


class Unconverted:
    """A specimen whose network is never made."""

    network = True

    def __init__(self, script: Script, setting: Setting) -> None:
        self.script, self.setting = script, setting


def broken(specimen: Unconverted) -> list[str]:
    raise AssertionError("no network: a property")


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Arguments of searches that take one network a round."""
    monkeypatch.setattr(networks, "Specimen", Unconverted)
    monkeypatch.setattr(networks, "SHRINKING", 0.0)
    asked = ["--seconds", "0", "--seed", "3", "--results", str(tmp_path / "results.json")]
    return [*asked, "--corpus", str(tmp_path / "corpus")]


def test_what_breaks_a_property_joins_the_corpus_and_the_search_goes_on(
    searched: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def results() -> dict[str, Any]:
        return dict(json.loads((tmp_path / "results.json").read_text()))

    monkeypatch.setattr(networks, "check", lambda specimen: ["a property"])
    assert networks.main(searched) == 0
    assert (results()["rounds"], results()["networks"], results()["kept"]) == (1, 1, {"a property": 1})
    assert not (tmp_path / "corpus").exists()
    monkeypatch.setattr(networks, "check", broken)
    assert networks.main(searched) == 1
    (violation,) = results()["violations"]
    assert violation["broke"] == "AssertionError: no network: a property"
    assert read(tmp_path / "corpus" / violation["file"]).script.statements
    monkeypatch.setattr(networks, "check", lambda specimen: ["a property"])
    assert networks.main(searched) == 1, "what was found is not forgotten"
    assert (results()["rounds"], results()["networks"], results()["kept"]) == (3, 3, {"a property": 2})


def test_results_of_another_seed_are_not_gone_on_with(searched: list[str], tmp_path: Path) -> None:
    networks.Results(seed=4).write(tmp_path / "results.json")
    with pytest.raises(SystemExit):
        networks.main(searched)
